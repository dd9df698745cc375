import math

import numpy as np
import pytest

from core.trading.backtest.interpreter import holds
from core.trading.backtest.records import STATE, Code
from core.trading.strategy.program import Op
from core.trading.strategy.program import State as Read

NAN = math.nan
X = np.array([1.0, 2.0, 4.0, 4.0, 3.0, NAN, 6.0])


def value(*code: tuple[int, float, int], t: int = 4, held: float = 0.0) -> float:
    """Answer what a program leaves on the stack at bar t; X is column 0 and cell 0."""
    constants = np.array([float(a) for op, a, _ in code if op == Op.CONST] or [0.0])
    at = iter(range(len(code)))
    rows = [(op, next(at), b) if op == Op.CONST else (op, a, b) for op, a, b in code]
    cells = np.vstack((X, np.full(len(X), NAN)))
    program = Code(
        np.array(rows, dtype=np.int64),
        np.array([[0, len(code)], [0, 0], [0, 0], [0, 0]], dtype=np.int64),
        constants,
        X.reshape(1, -1).copy(),
        cells,
        np.empty(8),
    )
    state = np.zeros(1, dtype=STATE)
    state["quantity"], state["entry_price"], state["entry_bar"] = held, 50.0, 2
    state["equity"] = 1234.0
    holds(0, t, program, 55.0, state[0])
    return float(program.stack[0])


def const(number: float) -> tuple[int, float, int]:
    return (Op.CONST, number, 0)


@pytest.mark.parametrize(
    ("op", "left", "right", "expected"),
    [
        (Op.ADD, 2, 3, 5),
        (Op.SUB, 2, 3, -1),
        (Op.MUL, 2, 3, 6),
        (Op.DIV, 3, 2, 1.5),
        (Op.DIV, 3, 0, NAN),
        (Op.MUL, 1e300, 1e300, NAN),
        (Op.MIN, 2, 3, 2),
        (Op.MAX, 2, 3, 3),
        (Op.MAX, 2, NAN, NAN),
        (Op.LT, 2, 3, 1),
        (Op.LE, 3, 3, 1),
        (Op.GT, 2, 3, 0),
        (Op.GE, 2, NAN, NAN),
        (Op.EQ, 3, 3, 1),
        (Op.NE, 3, 3, 0),
        (Op.AND, 0, NAN, 0),
        (Op.AND, 1, NAN, NAN),
        (Op.AND, 1, 1, 1),
        (Op.OR, NAN, 1, 1),
        (Op.OR, 0, NAN, NAN),
        (Op.OR, 0, 0, 0),
        (Op.NZ, NAN, 7, 7),
        (Op.NZ, 5, 7, 5),
    ],
)
def test_a_binary_operation_follows_kleene_and_knows_no_infinity(
    op: Op, left: float, right: float, expected: float
) -> None:
    assert value(const(left), const(right), (op, 0, 0)) == pytest.approx(expected, nan_ok=True)


@pytest.mark.parametrize(
    ("op", "x", "expected"),
    [(Op.NEG, 2, -2), (Op.ABS, -2, 2), (Op.NOT, 1, 0), (Op.NOT, 0, 1), (Op.NOT, NAN, NAN)],
)
def test_a_unary_operation_leaves_the_unknown_unknown(op: Op, x: float, expected: float) -> None:
    assert value(const(x), (op, 0, 0)) == pytest.approx(expected, nan_ok=True)


@pytest.mark.parametrize(
    ("op", "length", "t", "expected"),
    [
        (Op.HIGHEST, 3, 4, 4),
        (Op.LOWEST, 3, 4, 3),
        (Op.MEAN, 4, 4, 13 / 4),
        (Op.STD, 2, 4, 0.5),
        (Op.ZSCORE, 2, 4, -1),
        (Op.ZSCORE, 2, 3, NAN),
        (Op.RISING, 2, 2, 1),
        (Op.RISING, 1, 3, 0),
        (Op.FALLING, 1, 4, 1),
        (Op.RISING, 1, 6, NAN),
        (Op.MEAN, 2, 6, NAN),
        (Op.HIGHEST, 3, 1, NAN),
        (Op.BARS_SINCE, 0, 4, 4),
    ],
)
def test_a_window_includes_this_bar_and_is_unknown_before_it_is_full(
    op: Op, length: int, t: int, expected: float
) -> None:
    assert value((op, 0, length), t=t) == pytest.approx(expected, nan_ok=True)


def test_columns_and_cells_are_read_bars_ago_and_unknown_before_the_first() -> None:
    assert value((Op.COLUMN, 0, 2)) == 4
    assert value((Op.CELL, 0, 3)) == 2
    assert math.isnan(value((Op.COLUMN, 0, 5)))


@pytest.mark.parametrize(
    ("field", "flat", "long", "short"),
    [
        (Read.POSITION, 0, 1, -1),
        (Read.ENTRY_PRICE, NAN, 50, 50),
        (Read.BARS_HELD, NAN, 2, 2),
        (Read.UNREALIZED_PCT, NAN, 10, -10),
        (Read.EQUITY, 1234, 1234, 1234),
    ],
)
def test_the_position_is_read_as_of_the_close(
    field: Read, flat: float, long: float, short: float
) -> None:
    for held, expected in ((0.0, flat), (3.0, long), (-3.0, short)):
        assert value((Op.STATE, field, 0), held=held) == pytest.approx(expected, nan_ok=True)


def test_a_stored_value_stays_on_the_stack_and_a_popped_one_goes() -> None:
    assert value(const(5), (Op.STORE, 1, 0), const(7), (Op.POP, 0, 0)) == 5
    assert value(const(5), (Op.STORE, 1, 0), (Op.CELL, 1, 0), (Op.ADD, 0, 0)) == 10
