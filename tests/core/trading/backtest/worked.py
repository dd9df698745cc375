"""Small markets for trades worked out by hand."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from core.trading.backtest.events import ExitReason, RejectReason
from core.trading.backtest.settings import Costs, Settings
from core.trading.backtest.simulate import Simulation, close_open_position, prepare, run
from core.trading.bars.series import Bars
from core.trading.bars.timeframes import MICROSECONDS_PER_DAY, Timeframe
from core.trading.strategy.signals import Level, LevelKind, Side, Signals

Row = tuple[float, float, float, float]


def market(*rows: Row, timeframe: Timeframe = Timeframe.D1) -> Bars:
    prices = np.array(rows, dtype=np.float64).T.copy()
    stamps = (np.arange(len(rows), dtype=np.int64) + 1) * timeframe.microseconds
    return Bars("X", timeframe, stamps, *prices, volume=np.ones(len(rows)))


def flat(price: float, count: int) -> list[Row]:
    return [(price, price, price, price)] * count


def marks(bars: Bars, at: Iterable[int]) -> np.ndarray:
    column = np.zeros(len(bars), dtype=np.int8)
    column[list(at)] = 1
    return column


def asks(
    bars: Bars,
    *,
    long: Sequence[int] | None = None,
    sell: Sequence[int] = (),
    short: Sequence[int] | None = None,
    cover: Sequence[int] = (),
    price: float | Sequence[float] | None = None,
    **more: Any,
) -> Signals:
    column = None
    if price is not None:
        column = np.broadcast_to(np.asarray(price, dtype=np.float64), len(bars)).copy()
    ones = np.ones(len(bars), dtype=np.int8)
    defaults = {
        "program": None,
        "day": (bars.stamps - 1) // MICROSECONDS_PER_DAY,
        "in_session": ones,
        "session_close": ones * 0,
        "session_start": ones * 0,
    }
    return Signals(
        long=None if long is None else Side(marks(bars, long), marks(bars, sell), column),
        short=None if short is None else Side(marks(bars, short), marks(bars, cover), column),
        **(defaults | more),
    )


def level(kind: LevelKind, value: float) -> Level:
    return Level(kind, np.array([value]))


def percent(value: float) -> Level:
    return level(LevelKind.PERCENT, value)


def lived(
    signals: Signals, bars: Bars, *, close_at_end: bool = False, lot: float = 0.0, **costs: float
) -> Simulation:
    settings = Settings(cash=1000.0, lot=lot, costs=Costs(**costs))
    simulation = prepare(signals, bars, settings)
    run(simulation)
    if close_at_end:
        close_open_position(simulation)
    return simulation


def told(simulation: Simulation) -> list[tuple[Any, ...]]:
    """Answer (entry bar, exit bar, side, entry price, exit price, reason) of each trade."""
    return [
        (
            int(row["entry_bar"]),
            int(row["exit_bar"]),
            int(row["side"]),
            round(float(row["entry_price"]), 9),
            round(float(row["exit_price"]), 9),
            ExitReason(int(row["reason"])).name.lower(),
        )
        for row in simulation.trades
    ]


def refused(simulation: Simulation) -> list[tuple[int, str]]:
    return [
        (int(row["bar"]), RejectReason(int(row["reason"])).name.lower())
        for row in simulation.rejections
    ]


def entered(simulation: Simulation) -> tuple[float, float]:
    """Answer signed quantity and entry price of the position still open."""
    state = simulation.state[0]
    return float(state["quantity"]), float(state["entry_price"])
