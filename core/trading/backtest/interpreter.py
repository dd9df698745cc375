"""The stack machine for conditions that read the position (`core.trading.strategy.program`)."""

from math import isfinite, isnan

from core.trading.backtest.jit import compiled
from core.trading.backtest.records import Code, State
from core.trading.bars.series import FloatArray
from core.trading.indicators.windows import window_mean, window_std, window_zscore
from core.trading.strategy.program import Op
from core.trading.strategy.program import State as Read

_NAN = float("nan")


@compiled
def holds(span: int, t: int, program: Code, close: float, state: State) -> bool:
    """Answer whether the condition of that span is true at the close of bar t; unknown is no."""
    start, stop = program.spans[span, 0], program.spans[span, 1]
    top = -1
    for at in range(start, stop):
        op, a, b = program.code[at, 0], program.code[at, 1], program.code[at, 2]
        if op <= Op.CELL:
            top += 1
            program.stack[top] = pushed(op, a, b, t, program, close, state)
        elif op == Op.STORE:
            program.cells[a, t] = program.stack[top]
        elif op == Op.POP:
            top -= 1
        elif op in (Op.NEG, Op.ABS, Op.NOT):
            program.stack[top] = unary(op, program.stack[top])
        elif op >= Op.HIGHEST:
            top += 1
            program.stack[top] = windowed(op, a, b, t, program)
        else:
            top -= 1
            program.stack[top] = binary(op, program.stack[top], program.stack[top + 1])
    return bool(top >= 0 and program.stack[top] == 1.0)


@compiled
def pushed(op: int, a: int, b: int, t: int, program: Code, close: float, state: State) -> float:
    """Answer what CONST, COLUMN, STATE or CELL puts on the stack."""
    if op == Op.CONST:
        return float(program.constants[a])
    if op == Op.STATE:
        return position_reading(a, t, close, state)
    if t - b < 0:
        return _NAN
    if op == Op.COLUMN:
        return float(program.columns[a, t - b])
    return float(program.cells[a, t - b])


@compiled
def position_reading(which: int, t: int, close: float, state: State) -> float:
    """Answer a field of the position as of the close of bar t; unknown while flat but for two."""
    if which == Read.EQUITY:
        return state.equity
    side = 1.0 if state.quantity > 0.0 else -1.0
    if which == Read.POSITION:
        return 0.0 if state.quantity == 0.0 else side
    if state.quantity == 0.0:
        return _NAN
    if which == Read.ENTRY_PRICE:
        return state.entry_price
    if which == Read.BARS_HELD:
        return float(t - state.entry_bar)
    return (close / state.entry_price - 1.0) * 100.0 * side


@compiled
def known(value: float) -> float:
    """Answer the value, or NaN (unknown) where it is infinite."""
    return value if isfinite(value) else _NAN


@compiled
def unary(op: int, x: float) -> float:
    """Answer -x, |x| or not x."""
    if op == Op.NEG:
        return -x
    if op == Op.ABS:
        return abs(x)
    return _NAN if isnan(x) else 1.0 - x


@compiled
def binary(op: int, x: float, y: float) -> float:
    """Answer an operation of two numbers or conditions, unknown where it cannot be told."""
    if op in (Op.AND, Op.OR):
        return kleene(op, x, y)
    if op == Op.NZ:
        return y if isnan(x) else x
    if isnan(x) or isnan(y):
        return _NAN
    if op >= Op.LT:
        return compared(op, x, y)
    if op == Op.ADD:
        return known(x + y)
    if op == Op.SUB:
        return known(x - y)
    if op == Op.MUL:
        return known(x * y)
    if op == Op.DIV:
        return _NAN if y == 0.0 else known(x / y)
    return min(x, y) if op == Op.MIN else max(x, y)


@compiled
def compared(op: int, x: float, y: float) -> float:
    """Answer 1.0 or 0.0 for a comparison of two known numbers."""
    if op == Op.LT:
        holds_true = x < y
    elif op == Op.LE:
        holds_true = x <= y
    elif op == Op.GT:
        holds_true = x > y
    elif op == Op.GE:
        holds_true = x >= y
    elif op == Op.EQ:
        holds_true = x == y
    else:
        holds_true = x != y
    return 1.0 if holds_true else 0.0


@compiled
def kleene(op: int, x: float, y: float) -> float:
    """Answer `and` or `or` in Kleene's three-valued logic, NaN being unknown."""
    decisive = 0.0 if op == Op.AND else 1.0
    if decisive in (x, y):
        return decisive
    return _NAN if isnan(x) or isnan(y) else 1.0 - decisive


@compiled
def windowed(op: int, cell: int, length: int, t: int, program: Code) -> float:
    """Answer a function over cells[cell, t - length + 1 … t]."""
    values = program.cells[cell]
    if op == Op.BARS_SINCE:
        return bars_since(values, t)
    steps = 1 if op in (Op.RISING, Op.FALLING) else 0
    first = t - length + 1 - steps
    if first < 0:
        return _NAN
    for k in range(first, t + 1):
        if isnan(values[k]):
            return _NAN
    if steps:
        return monotone(op, values, first, t)
    if op in (Op.HIGHEST, Op.LOWEST):
        return extreme_of(op, values, first, t)
    if op == Op.MEAN:
        return window_mean(values, t, length)
    if op == Op.STD:
        return window_std(values, t, length)
    return window_zscore(values, t, length)


@compiled
def bars_since(values: FloatArray, t: int) -> float:
    """Answer the bars since the last 1.0, NaN before the first."""
    for k in range(t, -1, -1):
        if values[k] == 1.0:
            return float(t - k)
    return _NAN


@compiled
def monotone(op: int, values: FloatArray, first: int, t: int) -> float:
    """Answer 1.0 where every step from `first` to t went up (RISING) or down (FALLING)."""
    for k in range(first + 1, t + 1):
        step = values[k] - values[k - 1]
        if (op == Op.RISING and step <= 0.0) or (op == Op.FALLING and step >= 0.0):
            return 0.0
    return 1.0


@compiled
def extreme_of(op: int, values: FloatArray, first: int, t: int) -> float:
    """Answer the largest or smallest of values[first … t]."""
    found = values[first]
    for k in range(first + 1, t + 1):
        found = max(found, values[k]) if op == Op.HIGHEST else min(found, values[k])
    return float(found)
