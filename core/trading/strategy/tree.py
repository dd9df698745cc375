"""The typed tree that expressions become: nothing else can be evaluated.

Nodes compare and hash by what they say, so that equal parts are computed once. A `Count` is a
number of bars: a whole number, or the name of a parameter that holds one.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from core.trading.strategy.program import Op, State

Count: TypeAlias = int | str


class CalendarField(Enum):
    """What a calendar function reads: the day of the week with Monday 0, or the hour 0 to 23."""

    DAY_OF_WEEK = "day_of_week"
    HOUR = "hour"


@dataclass(frozen=True, slots=True)
class Number:
    """A number as it was written."""

    value: float


@dataclass(frozen=True, slots=True)
class Parameter:
    """`$name`."""

    name: str


@dataclass(frozen=True, slots=True)
class Price:
    """A column of the bars, or hl2, hlc3, ohlc4."""

    name: str


@dataclass(frozen=True, slots=True)
class Output:
    """One output of an input, counted from 0."""

    input: str
    index: int


@dataclass(frozen=True, slots=True)
class Let:
    """A named expression."""

    name: str


@dataclass(frozen=True, slots=True)
class Position:
    """A number that depends on the position."""

    state: State


@dataclass(frozen=True, slots=True)
class Calendar:
    """A number of the wall clock, as of the stamp less one microsecond."""

    field: CalendarField


@dataclass(frozen=True, slots=True)
class InSession:
    """Whether the wall clock stands in from < stamp <= to; microseconds since midnight."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Unary:
    """NEG, ABS of a number or NOT of a condition."""

    op: Op
    x: "Node"


@dataclass(frozen=True, slots=True)
class Binary:
    """ADD SUB MUL DIV MIN MAX NZ of numbers, LT LE GT GE EQ NE, AND OR of conditions."""

    op: Op
    left: "Node"
    right: "Node"


@dataclass(frozen=True, slots=True)
class Cross:
    """`left > right and left[1] <= right[1]`, or with the signs turned where not `above`."""

    above: bool
    left: "Node"
    right: "Node"

    def spelled_out(self) -> Binary:
        """Answer the same condition without the function."""
        now, then = (Op.GT, Op.LE) if self.above else (Op.LT, Op.GE)
        return Binary(
            Op.AND,
            Binary(now, self.left, self.right),
            Binary(then, Lag(self.left, 1), Lag(self.right, 1)),
        )


@dataclass(frozen=True, slots=True)
class Lag:
    """The value of `bars` base bars ago, unknown before bar 0; of conditions too."""

    x: "Node"
    bars: Count


@dataclass(frozen=True, slots=True)
class Window:
    """HIGHEST LOWEST MEAN STD ZSCORE (numbers) or RISING FALLING (conditions) over a window."""

    op: Op
    x: "Node"
    length: Count


@dataclass(frozen=True, slots=True)
class BarsSince:
    """How many bars ago a condition was last true, unknown before the first time."""

    x: "Node"


Node: TypeAlias = (
    Number
    | Parameter
    | Price
    | Output
    | Let
    | Position
    | Calendar
    | InSession
    | Unary
    | Binary
    | Cross
    | Lag
    | Window
    | BarsSince
)


@dataclass(frozen=True, slots=True)
class Typed:
    """A tree with what is known of it.

    `condition`: true, false or unknown rather than a number. `whole`: a number that is always
    whole. `on_position`: it reads the position. `depth`: its levels, those of its lets included.
    """

    node: Node
    condition: bool = False
    whole: bool = False
    on_position: bool = False
    depth: int = 1


def children(node: Node) -> tuple[Node, ...]:
    """Answer the parts of a node, without looking into lets."""
    match node:
        case Binary(_, left, right) | Cross(_, left, right):
            return (left, right)
        case Unary(_, x) | Lag(x, _) | Window(_, x, _) | BarsSince(x):
            return (x,)
        case _:
            return ()


def wrap(node: Node, *parts: Typed, condition: bool = False, whole: bool = False) -> Typed:
    """Answer a node with what follows for it from its parts."""
    on_position = any(part.on_position for part in parts)
    return Typed(node, condition, whole, on_position, 1 + max(part.depth for part in parts))


def chain(op: Op, parts: Iterable[Typed | None]) -> Typed | None:
    """Join conditions by AND or OR, None where one of them is at fault."""
    joined: Typed | None = None
    for part in parts:
        if part is None:
            return None
        joined = (
            part
            if joined is None
            else wrap(Binary(op, joined.node, part.node), joined, part, condition=True)
        )
    return joined
