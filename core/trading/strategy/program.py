"""Conditions that look at the position, as data for the kernel's stack machine.

A condition that reads only bars and indicators is computed at once over all bars. One that
reads `position`, `entry_price`, `bars_held`, `unrealized_pct` or `equity` depends on fills, so
it is compiled to a small program that the kernel evaluates at the close of each bar: strategies
stay data, and nothing is compiled for one of them.

Every value is a float64: conditions are 1.0, 0.0, or NaN for unknown (Kleene's logic); any
unknown number is NaN, and an operation whose result is infinite answers NaN.
"""

from dataclasses import dataclass
from enum import IntEnum

from core.trading.bars.series import FloatArray, IntArray


class State(IntEnum):
    """What a program may read of the position, as of the close of the bar it runs at."""

    POSITION = 0
    ENTRY_PRICE = 1
    BARS_HELD = 2
    UNREALIZED_PCT = 3
    EQUITY = 4


class Op(IntEnum):
    """One instruction `(op, a, b)`; binary ones pop the right operand first."""

    CONST = 0  # push constants[a]
    COLUMN = 1  # push columns[a, t - b], NaN before bar 0
    STATE = 2  # push state a
    CELL = 3  # push cells[a, t - b], what STORE wrote b bars ago, NaN before bar 0
    STORE = 4  # cells[a, t] = top of the stack, which stays
    POP = 5
    ADD = 6
    SUB = 7
    MUL = 8
    DIV = 9
    NEG = 10
    ABS = 11
    MIN = 12
    MAX = 13
    LT = 14
    LE = 15
    GT = 16
    GE = 17
    EQ = 18
    NE = 19
    AND = 20
    OR = 21
    NOT = 22
    NZ = 23  # pop default, pop x: push x, or the default where x is NaN
    HIGHEST = 24  # over cells[a, t - b + 1 … t]; NaN while any of them is NaN or before bar 0
    LOWEST = 25
    MEAN = 26
    STD = 27  # ddof 0; exactly 0.0 where all the values are equal
    ZSCORE = 28  # NaN where all the values are equal
    RISING = 29  # each of the last b steps of cells[a] went up; NaN while any value is
    FALLING = 30
    BARS_SINCE = 31  # bars since cells[a] was 1.0, NaN before the first time


@dataclass(frozen=True, slots=True)
class Program:
    """The four conditions as code over shared columns and cells.

    `code`: int64[m, 3]; `spans`: int64[4, 2], the half-open ranges of code of long entry, long
    exit, short entry, short exit, in this order (an empty range: the ready-made int8 column of
    `Signals` holds). Each non-empty range leaves one value on the stack; true is 1.0.
    `constants`: float64[k]; `columns`: float64[c, n]; `cells`: how many rows of float64[cells, n]
    the kernel keeps for STORE; `depth`: the deepest the stack gets.
    """

    code: IntArray
    spans: IntArray
    constants: FloatArray
    columns: FloatArray
    cells: int
    depth: int
