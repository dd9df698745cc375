"""The functions of the language: how many arguments, of which kind, and what tree they are."""

import ast
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from core.trading.strategy.findings import suggestion
from core.trading.strategy.program import Op
from core.trading.strategy.tree import (
    BarsSince,
    Binary,
    Calendar,
    CalendarField,
    Count,
    Cross,
    InSession,
    Lag,
    Number,
    Typed,
    Unary,
    Window,
    chain,
    wrap,
)

MICROSECONDS_PER_MINUTE = 60_000_000
_TIMES = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-(?:([01]\d|2[0-3]):([0-5]\d)|24:00)", re.ASCII)
_LEAST_FOR_SPREAD = 2


class Reader(Protocol):
    """What a function needs of the walk over the expression that it stands in."""

    def fault(self, node: ast.expr, code: str, message: str, hint: str = "") -> None:
        """Note a fault at a node."""

    def number(self, node: ast.expr) -> Typed | None:
        """Type a node that must be a number."""

    def condition(self, node: ast.expr) -> Typed | None:
        """Type a node that must be a condition."""

    def count(self, node: ast.expr, *, code: str, low: int) -> Count | None:
        """Type a number of bars."""


Arguments = Sequence[ast.expr]
Build = Callable[[Reader, str, Arguments], Typed | None]


@dataclass(frozen=True, slots=True)
class _Function:
    written: str
    least: int
    most: int
    build: Build


def call(reader: Reader, node: ast.Call) -> Typed | None:
    """Type a call, None with faults noted where it is no call of the language."""
    if not isinstance(node.func, ast.Name):
        reader.fault(node, "not_allowed", "Only functions of the language can be called.")
        return None
    name = node.func.id
    function = _FUNCTIONS.get(name)
    if function is None:
        hint = suggestion(name, _FUNCTIONS, "The functions are " + " ".join(_FUNCTIONS) + ".")
        reader.fault(node, "unknown_function", f"There is no function {name[:40]}.", hint)
        return None
    if node.keywords or any(isinstance(argument, ast.Starred) for argument in node.args):
        message = "Arguments are given by position."
        reader.fault(node, "not_allowed", message, f"Write {function.written}.")
        return None
    if not function.least <= len(node.args) <= function.most:
        message = f"{name} does not take {len(node.args)} arguments."
        reader.fault(node, "arity", message, f"Write {function.written}.")
        return None
    return function.build(reader, name, node.args)


def signature(name: str) -> str:
    """Answer how a function is written, `highest(x, n)`."""
    return _FUNCTIONS[name].written


def session_times(text: str) -> tuple[int, int] | None:
    """Read `09:30-16:00` as microseconds since midnight, None where it is no such text."""
    match = _TIMES.fullmatch(text)
    if match is None:
        return None
    hour, minute, to_hour, to_minute = (int(part or 0) for part in match.groups())
    end = (to_hour * 60 + to_minute) if match.group(3) else 24 * 60
    start = hour * 60 + minute
    if start == end:
        return None
    return start * MICROSECONDS_PER_MINUTE, end * MICROSECONDS_PER_MINUTE


def _cross(reader: Reader, name: str, arguments: Arguments) -> Typed | None:
    a, b = reader.number(arguments[0]), reader.number(arguments[1])
    if a is None or b is None:
        return None
    return wrap(Cross(name == "crosses_above", a.node, b.node), a, b, condition=True)


def _absolute(reader: Reader, _name: str, arguments: Arguments) -> Typed | None:
    x = reader.number(arguments[0])
    return x and wrap(Unary(Op.ABS, x.node), x, whole=x.whole)


def _extreme(reader: Reader, name: str, arguments: Arguments) -> Typed | None:
    parts = [reader.number(argument) for argument in arguments]
    op = Op.MIN if name == "min" else Op.MAX
    joined: Typed | None = None
    for part in parts:
        if part is None:
            return None
        joined = part if joined is None else _pair(op, joined, part)
    return joined


def _pair(op: Op, a: Typed, b: Typed) -> Typed:
    return wrap(Binary(op, a.node, b.node), a, b, whole=a.whole and b.whole)


def _window(reader: Reader, name: str, arguments: Arguments) -> Typed | None:
    op = Op[name.upper()]
    least = _LEAST_FOR_SPREAD if op in {Op.STD, Op.ZSCORE} else 1
    x = reader.number(arguments[0])
    length = reader.count(arguments[1], code="bad_window", low=least)
    if x is None or length is None:
        return None
    whole = x.whole and op in {Op.HIGHEST, Op.LOWEST}
    condition = op in {Op.RISING, Op.FALLING}
    return wrap(Window(op, x.node, length), x, condition=condition, whole=whole)


def _change(reader: Reader, name: str, arguments: Arguments) -> Typed | None:
    x = reader.number(arguments[0])
    bars: Count | None = 1
    if len(arguments) > 1:
        bars = reader.count(arguments[1], code="bad_lag", low=1)
    if x is None or bars is None:
        return None
    past = wrap(Lag(x.node, bars), x, whole=x.whole)
    if name == "change":
        return _pair(Op.SUB, x, past)
    ratio = wrap(Binary(Op.DIV, x.node, past.node), x, past)
    growth = wrap(Binary(Op.SUB, ratio.node, Number(1.0)), ratio)
    return wrap(Binary(Op.MUL, growth.node, Number(100.0)), growth)


def _between(reader: Reader, _name: str, arguments: Arguments) -> Typed | None:
    x, low, high = (reader.number(argument) for argument in arguments)
    if x is None or low is None or high is None:
        return None
    above = wrap(Binary(Op.GE, x.node, low.node), x, low, condition=True)
    below = wrap(Binary(Op.LE, x.node, high.node), x, high, condition=True)
    return chain(Op.AND, [above, below])


def _bars_since(reader: Reader, _name: str, arguments: Arguments) -> Typed | None:
    x = reader.condition(arguments[0])
    return x and wrap(BarsSince(x.node), x, whole=True)


def _default(reader: Reader, _name: str, arguments: Arguments) -> Typed | None:
    x, otherwise = (reader.number(argument) for argument in arguments)
    return x and otherwise and _pair(Op.NZ, x, otherwise)


def _calendar(_reader: Reader, name: str, _arguments: Arguments) -> Typed | None:
    return Typed(Calendar(CalendarField(name)), whole=True)


def _session(reader: Reader, _name: str, arguments: Arguments) -> Typed | None:
    node = arguments[0]
    hint = 'Write session("09:30-16:00").'
    if not isinstance(node, ast.Constant) or not isinstance(node.value, str):
        reader.fault(node, "type", "session takes a text with two times.", hint)
        return None
    times = session_times(node.value)
    if times is None:
        reader.fault(node, "bad_range", "These are no two times of day.", hint)
        return None
    return Typed(InSession(*times), condition=True)


_FUNCTIONS: dict[str, _Function] = {
    "crosses_above": _Function("crosses_above(a, b)", 2, 2, _cross),
    "crosses_below": _Function("crosses_below(a, b)", 2, 2, _cross),
    "abs": _Function("abs(x)", 1, 1, _absolute),
    "min": _Function("min(a, b)", 2, 20, _extreme),
    "max": _Function("max(a, b)", 2, 20, _extreme),
    "highest": _Function("highest(x, n)", 2, 2, _window),
    "lowest": _Function("lowest(x, n)", 2, 2, _window),
    "mean": _Function("mean(x, n)", 2, 2, _window),
    "std": _Function("std(x, n)", 2, 2, _window),
    "zscore": _Function("zscore(x, n)", 2, 2, _window),
    "change": _Function("change(x, n)", 1, 2, _change),
    "pct": _Function("pct(x, n)", 1, 2, _change),
    "rising": _Function("rising(x, n)", 2, 2, _window),
    "falling": _Function("falling(x, n)", 2, 2, _window),
    "between": _Function("between(x, low, high)", 3, 3, _between),
    "bars_since": _Function("bars_since(condition)", 1, 1, _bars_since),
    "nz": _Function("nz(x, default)", 2, 2, _default),
    "day_of_week": _Function("day_of_week()", 0, 0, _calendar),
    "hour": _Function("hour()", 0, 0, _calendar),
    "session": _Function('session("09:30-16:00")', 1, 1, _session),
}
NAMES = frozenset(_FUNCTIONS)
