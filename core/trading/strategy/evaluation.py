"""Trees over all bars at once: numbers as columns, conditions in Kleene's logic.

A condition is two columns, where it is true and where it is false; where it is neither it is
unknown. Comparisons with NaN are False in both, so no masks of unknowns are needed.
"""

from collections.abc import Callable, Hashable, Mapping
from typing import Any, TypeAlias

import numpy as np
from numba import njit
from numpy.typing import NDArray

from core.trading.bars.series import FloatArray
from core.trading.bars.timeframes import Timeframe
from core.trading.indicators import windows
from core.trading.indicators.computation import compute
from core.trading.strategy.frame import Frame
from core.trading.strategy.program import Op
from core.trading.strategy.rules import InputRule, Quantity, Source, Strategy
from core.trading.strategy.session_flags import within
from core.trading.strategy.sharing import Shared
from core.trading.strategy.tree import (
    BarsSince,
    Binary,
    Calendar,
    CalendarField,
    Count,
    Cross,
    InSession,
    Lag,
    Let,
    Node,
    Number,
    Output,
    Parameter,
    Price,
    Unary,
    Window,
)

Column: TypeAlias = FloatArray | np.float64
Truth: TypeAlias = NDArray[np.bool_]

_WINDOWS: dict[Op, Callable[[FloatArray, int], FloatArray]] = {
    Op.HIGHEST: windows.highest,
    Op.LOWEST: windows.lowest,
    Op.MEAN: windows.mean,
    Op.STD: windows.std,
    Op.ZSCORE: windows.zscore,
}
_ARITHMETIC: dict[Op, np.ufunc] = {
    Op.ADD: np.add,
    Op.SUB: np.subtract,
    Op.MUL: np.multiply,
    Op.DIV: np.divide,
    Op.MIN: np.minimum,
    Op.MAX: np.maximum,
}
_TRUE: dict[Op, np.ufunc] = {
    Op.LT: np.less,
    Op.LE: np.less_equal,
    Op.GT: np.greater,
    Op.GE: np.greater_equal,
    Op.EQ: np.equal,
}
_OPPOSITE = {
    Op.LT: Op.GE,
    Op.LE: Op.GT,
    Op.GT: Op.LE,
    Op.GE: Op.LT,
    Op.EQ: Op.NE,
    Op.NE: Op.EQ,
}


class Evaluation:
    """A strategy's trees over one frame with the parameters resolved; equal parts only once.

    `values`: every parameter's value. `shared`: what other evaluations over the same frame have
    computed. Nothing here reads the position.
    """

    def __init__(
        self,
        strategy: Strategy,
        values: Mapping[str, float],
        frame: Frame,
        *,
        shared: Shared | None = None,
    ) -> None:
        self.strategy = strategy
        self.values = values
        self.frame = frame
        self._shared = shared
        self._own: dict[Hashable, Any] = {}

    def _once(self, what: Hashable, node: Node, compute: Callable[[], Any]) -> Any:
        """Answer what follows from a node as computed before, by any that shares with this."""
        if what in self._own:
            return self._own[what]
        key, shared = None, self._shared
        if shared is not None:
            key = shared.key(what, shared.swept_in(node), self.values)
        found = None if key is None or shared is None else shared.get(key)
        if found is None:
            found = compute()
            if key is not None and shared is not None:
                shared.put(key, found, _size(found))
        self._own[what] = found
        return found

    def quantity(self, quantity: Quantity) -> float:
        """Answer the value of a number or a parameter of the document."""
        if isinstance(quantity, Parameter):
            return float(self.values[quantity.name])
        return quantity

    def count(self, bars: Count) -> int:
        """Answer a number of bars."""
        return int(self.values[bars]) if isinstance(bars, str) else bars

    def column(self, node: Node) -> FloatArray:
        """Answer a number or a condition (1.0, 0.0, NaN) as float64[n]."""
        if is_condition(node, self.strategy):
            false = np.where(self.holds(node, truth=False), 0.0, np.nan)
            return np.where(self.holds(node, truth=True), 1.0, false)
        return self._spread(self.number(node))

    def _spread(self, x: Column) -> FloatArray:
        return x if isinstance(x, np.ndarray) else np.full(len(self.frame.bars), x)

    def number(self, node: Node) -> Column:
        """Answer a number: float64[n], NaN where unknown, or one for all bars."""
        if isinstance(node, Number | Parameter | Price):
            return self._number(node)
        found: Column = self._once(node, node, lambda: self._number(node))
        return found

    def _number(self, node: Node) -> Column:
        match node:
            case Number(value):
                return np.float64(value)
            case Parameter(name):
                return np.float64(self.values[name])
            case Price(name):
                return self.frame.price(name)
            case Output(name, index):
                return self._output(name, index)
            case Let(name):
                return self.number(self.strategy.lets[name].node)
            case Lag(x, bars):
                return shifted(self._spread(self.number(x)), self.count(bars))
            case Window(op, x, length):
                return _WINDOWS[op](self._spread(self.number(x)), self.count(length))
            case BarsSince(x):
                return windows.bars_since(self.holds(x, truth=True))
            case _:
                return self._computed(node)

    def _computed(self, node: Node) -> Column:
        match node:
            case Calendar(field):
                clock = self.frame.clock
                weekday = field is CalendarField.DAY_OF_WEEK
                return (clock.weekday if weekday else clock.hour).astype(np.float64)
            case Unary(op, x):
                return -self.number(x) if op is Op.NEG else np.abs(self.number(x))
            case Binary(Op.NZ, x, default):
                known = self.number(x)
                return np.where(np.isnan(known), self.number(default), known)
            case Binary(op, left, right):
                answer = _ARITHMETIC[op](self.number(left), self.number(right))
                if isinstance(answer, np.ndarray):
                    windows.forget_infinities(answer)
                    return answer
                return answer if np.isfinite(answer) else np.float64(np.nan)
            case _:
                raise TypeError(f"{type(node).__name__} is no number over bars")

    def _output(self, name: str, index: int) -> FloatArray:
        output = self.outputs(name)[index]
        timeframe = self.strategy.inputs[name].timeframe
        if not self.frame.is_higher(timeframe):
            return output
        return self.frame.higher(timeframe).spread(output)

    def outputs(self, name: str) -> tuple[FloatArray, ...]:
        """Answer an input's outputs at its own timeframe."""
        rule = self.strategy.inputs[name]
        arguments = {key: self.quantity(value) for key, value in rule.arguments.items()}
        what = (rule.indicator.name, *arguments.values(), rule.sources, rule.timeframe)
        found: tuple[FloatArray, ...] = self._once(
            what, Output(name, 0), lambda: self._computed_outputs(rule, arguments)
        )
        return found

    def _computed_outputs(
        self, rule: InputRule, arguments: Mapping[str, float]
    ) -> tuple[FloatArray, ...]:
        series = [self._source(source, rule.timeframe) for source in rule.sources]
        known = all(self._known(source, rule.timeframe) for source in rule.sources)
        return compute(rule.indicator, series, arguments, known=known)

    def _source(self, source: Source, timeframe: Timeframe) -> FloatArray:
        if isinstance(source, Price):
            return self.frame.price(source.name, timeframe)
        return self.outputs(source.input)[source.index]

    def _known(self, source: Source, timeframe: Timeframe) -> bool:
        return isinstance(source, Price) and self.frame.is_known(source.name, timeframe)

    def holds(self, node: Node, *, truth: bool) -> Truth:
        """Answer bool[n]: where a condition is true, or where it is false."""
        found: Truth = self._once(
            (node, truth), node, lambda: self._spread_truth(self._holds(node, truth=truth))
        )
        return found

    def _spread_truth(self, x: Truth | np.bool_) -> Truth:
        return x if isinstance(x, np.ndarray) else np.broadcast_to(x, len(self.frame.bars))

    def _holds(self, node: Node, *, truth: bool) -> Truth | np.bool_:
        match node:
            case Let(name):
                return self.holds(self.strategy.lets[name].node, truth=truth)
            case Unary(_, x):
                return self.holds(x, truth=not truth)
            case Binary(Op.AND | Op.OR as op, left, right):
                both = (op is Op.AND) is truth
                a, b = self.holds(left, truth=truth), self.holds(right, truth=truth)
                return a & b if both else a | b
            case Binary(op, left, right):
                return self._compared(op if truth else _OPPOSITE[op], left, right)
            case Cross():
                return self._crossed(node, truth=truth)
            case Lag(x, bars):
                return shifted_truth(self.holds(x, truth=truth), self.count(bars))
            case Window(op, x, length):
                sign = 1.0 if op is Op.RISING else -1.0
                went = windows.steps(self._spread(self.number(x)), self.count(length), sign)
                wanted: Truth = went == (1.0 if truth else 0.0)
                return wanted
            case InSession(start, end):
                inside = within(self.frame.clock, start, end)
                return inside if truth else ~inside
            case _:
                raise TypeError(f"{type(node).__name__} is no condition over bars")

    def _compared(self, op: Op, left: Node, right: Node) -> Truth | np.bool_:
        a, b = self.number(left), self.number(right)
        found: Truth = np.less(a, b) | np.greater(a, b) if op is Op.NE else _TRUE[op](a, b)
        return found

    def _crossed(self, node: Cross, *, truth: bool) -> Truth:
        a, b = self.number(node.left), self.number(node.right)
        if truth and isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
            sides = (node.left, node.right)
            both: tuple[Truth, Truth] = self._once(sides, node, lambda: _crosses(a, b))
            return both[0 if node.above else 1]
        return self.holds(node.spelled_out(), truth=truth)


def _size(found: Any) -> int:
    """Answer the bytes of a column, or of several."""
    if isinstance(found, tuple):
        return sum(map(_size, found))
    return int(found.nbytes)


def is_condition(node: Node, strategy: Strategy) -> bool:
    """Say whether a node is a condition rather than a number."""
    while isinstance(node, Lag):
        node = node.x
    match node:
        case Let(name):
            return strategy.lets[name].condition
        case Unary(op, _):
            return op is Op.NOT
        case Binary(op, _, _):
            return Op.LT <= op <= Op.OR
        case Window(op, _, _):
            return op in {Op.RISING, Op.FALLING}
        case _:
            return isinstance(node, Cross | InSession)


def shifted(x: FloatArray, bars: int) -> FloatArray:
    """Answer the column of `bars` bars ago, NaN before bar 0."""
    if bars == 0:
        return x
    out = np.empty_like(x)
    out[:bars] = np.nan
    out[bars:] = x[: max(len(x) - bars, 0)]
    return out


def shifted_truth(x: Truth, bars: int) -> Truth:
    """Answer the flags of `bars` bars ago, False before bar 0."""
    out = np.zeros(len(x), np.bool_)
    out[bars:] = x[: max(len(x) - bars, 0)]
    return out


@njit(nogil=True, cache=True)
def _crosses(a: FloatArray, b: FloatArray) -> tuple[Truth, Truth]:
    """Answer where a crosses above b and where below: one reading of memory for the two."""
    above, below = np.zeros(len(a), np.bool_), np.zeros(len(a), np.bool_)
    for t in range(1, len(a)):
        above[t] = (a[t] > b[t]) & (a[t - 1] <= b[t - 1])
        below[t] = (a[t] < b[t]) & (a[t - 1] >= b[t - 1])
    return above, below
