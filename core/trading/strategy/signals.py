"""What a compiled strategy hands to the engine: arrays and settings, no code."""

from dataclasses import dataclass
from enum import IntEnum

from core.trading.bars.series import FlagArray, FloatArray, IntArray
from core.trading.strategy.program import Program


class Entry(IntEnum):
    """How an entry order reaches the market."""

    MARKET = 0
    LIMIT = 1
    STOP = 2


class Fill(IntEnum):
    """Where a market order fills: at the next bar's open, or at the close it was decided at."""

    NEXT_OPEN = 0
    THIS_CLOSE = 1


class Ambiguity(IntEnum):
    """Which of stop and target is taken to be first where one bar spans both."""

    WORST = 0
    BEST = 1
    PATH = 2


class LevelKind(IntEnum):
    """What the numbers of a protective level mean."""

    NONE = 0
    PERCENT = 1  # of the fill price
    DISTANCE = 2  # in price units (an ATR times its factor)
    PRICE = 3  # the level itself
    R = 4  # multiples of |fill - stop|; target and trail only


class SizingMethod(IntEnum):
    """How many units an entry takes."""

    PERCENT = 0
    FIXED = 1
    RISK = 2
    VOL_TARGET = 3
    EQUAL_WEIGHT = 4


@dataclass(frozen=True, slots=True)
class Level:
    """A stop, target or trail: float64[n] read at the signal's bar, or float64[1] for all."""

    kind: LevelKind
    values: FloatArray


@dataclass(frozen=True, slots=True)
class Side:
    """One direction: int8[n] flags, 1 where the condition is true (unknown counts as false).

    `price`: float64[n], the limit or stop level of an entry order that is not at market, NaN
    where unknown (such an entry is rejected); None for market orders.
    """

    entry: FlagArray
    exit: FlagArray
    price: FloatArray | None = None


@dataclass(frozen=True, slots=True)
class Sizing:
    """The sizing method with its numbers.

    `value`: percent of equity (percent, risk), units (fixed), or percent a year (vol_target).
    `max_leverage`: the bound of gross exposure over equity. `lookback`: bars of simple returns
    for vol_target. `max_weight`: percent of equity, or None.
    """

    method: SizingMethod = SizingMethod.PERCENT
    value: float = 100.0
    max_leverage: float = 1.0
    lookback: int = 0
    max_weight: float | None = None


@dataclass(frozen=True, slots=True)
class Signals:
    """A strategy with its parameters resolved over one symbol's n bars.

    `long`, `short`: None where the strategy has no such side. `program`: the conditions that
    read the position, None where none does. `day`: int64[n], the ordinal of the session day of
    each bar (of the stamp less one microsecond, in the session's timezone), which never falls;
    None where neither a daily halt nor the sizing reads it. The flags of the session are int8[n]
    or, where all bars are alike, int8[1]. `in_session`: 1 where an entry may be decided and
    filled. `session_close`: 1 at a bar that closes exactly at the session's end.
    `session_start`: 1 at a bar that is the first of its session (bars before a session's first
    bar belong to none).
    """

    long: Side | None
    short: Side | None
    program: Program | None
    day: IntArray | None
    in_session: FlagArray
    session_close: FlagArray
    session_start: FlagArray
    entry: Entry = Entry.MARKET
    fill: Fill = Fill.NEXT_OPEN
    ambiguity: Ambiguity = Ambiguity.WORST
    valid_bars: int = 1
    limit_through: bool = False
    stop: Level | None = None
    target: Level | None = None
    trail: Level | None = None
    trail_after_r: float | None = None
    sizing: Sizing = Sizing()
    max_bars: int | None = None
    cooldown_bars: int = 0
    daily_loss_halt_percent: float | None = None
    drawdown_halt_percent: float | None = None
    flat_at_close: bool = False
