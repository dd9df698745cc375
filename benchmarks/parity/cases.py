"""The runs that our profiles and the engines they reproduce are both put through.

Imported in the peers' environment and in ours, so it needs numpy and TA-Lib only. Bars come from
two packages that carry them; signals are computed here once, so both sides do the same work.
"""

import csv
import gzip
import importlib.util
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import talib

CASH = 10_000.0
DATA_SETS = ("aapl_daily", "eurusd_hourly")


@dataclass(frozen=True)
class Market:
    """One data set: datetime64[s] times and float64 prices, oldest first."""

    time: np.ndarray
    open: np.ndarray
    high: np.ndarray
    low: np.ndarray
    close: np.ndarray


@dataclass(frozen=True)
class Case:
    """One run. Stop and target in percent for AAPL; a tenth of it for EURUSD, which moves less.

    `source`: cross, reversion, noise, or own (the peer computes indicator and cross itself).
    """

    name: str
    source: str = "cross"
    fast: int = 10
    slow: int = 30
    sides: str = "both"
    stop: float | None = None
    target: float | None = None
    commission_bps: float = 0.0
    slippage_bps: float = 0.0
    percent: float = 100.0


@dataclass(frozen=True)
class Flags:
    """Conditions at each bar's close: bool[n] each."""

    long_entry: np.ndarray
    long_exit: np.ndarray
    short_entry: np.ndarray
    short_exit: np.ndarray


CASES = (
    Case("long cross", sides="long"),
    Case("reversing cross"),
    Case("reversing cross with costs", commission_bps=10),
    Case("short cross with costs", sides="short", commission_bps=5),
    Case("long with stop and target", sides="long", fast=5, slow=20, stop=4, target=8),
    Case("reversing with stop and target", fast=5, slow=15, stop=3, target=5, commission_bps=5),
    Case("short with a stop", sides="short", fast=5, slow=20, stop=5, commission_bps=10),
    Case("target only", fast=8, slow=24, target=3),
    Case("reversion with stop", source="reversion", sides="long", stop=6, commission_bps=2),
    Case("reversion both ways", source="reversion", stop=5, target=5),
    Case("noise with tight levels", source="noise", stop=2, target=2, commission_bps=3),
    Case("noise without levels", source="noise", commission_bps=3),
    Case("half the cash", sides="long", fast=5, slow=20, stop=5, percent=50, commission_bps=10),
    Case("slippage and costs", fast=6, slow=18, stop=5, slippage_bps=3, commission_bps=5),
    Case("own indicator and cross", source="own", sides="long", fast=10, slow=30),
    Case("own cross with costs", source="own", fast=7, slow=21, commission_bps=10),
)


def levels(case: Case, data_set: str) -> tuple[float | None, float | None]:
    """Answer stop and target in percent for that data set."""
    scale = 1.0 if data_set == "aapl_daily" else 0.1
    return tuple(None if level is None else level * scale for level in (case.stop, case.target))


def flags(case: Case, market: Market) -> Flags:
    """Answer the conditions of a case, sides that it does not trade never true."""
    raw = _SOURCES[case.source](case, market)
    nothing = np.zeros(len(market.close), dtype=bool)
    no_long = case.sides == "short"
    no_short = case.sides == "long"
    return Flags(
        long_entry=nothing if no_long else raw.long_entry,
        long_exit=nothing if no_long else raw.long_exit,
        short_entry=nothing if no_short else raw.short_entry,
        short_exit=nothing if no_short else raw.short_exit,
    )


def _cross(case: Case, market: Market) -> Flags:
    fast, slow = talib.SMA(market.close, case.fast), talib.SMA(market.close, case.slow)
    up, down = np.zeros((2, len(fast)), dtype=bool)
    up[1:] = (fast[1:] > slow[1:]) & (fast[:-1] <= slow[:-1])
    down[1:] = (fast[1:] < slow[1:]) & (fast[:-1] >= slow[:-1])
    return Flags(up, down, down, up)


def _reversion(_case: Case, market: Market) -> Flags:
    rsi = talib.RSI(market.close, 14)
    return Flags(rsi < 35, rsi > 55, rsi > 65, rsi < 45)


def _noise(_case: Case, market: Market) -> Flags:
    seed, columns = 12345, []
    for threshold in (8, 12, 8, 12):
        hits = np.empty(len(market.close), dtype=bool)
        for i in range(len(hits)):
            seed = (seed * 1103515245 + 12345) % 2**31
            hits[i] = (seed >> 16) % 100 < threshold
        columns.append(hits)
    return Flags(*columns)


_SOURCES = {"cross": _cross, "own": _cross, "reversion": _reversion, "noise": _noise}


def market(data_set: str) -> Market:
    """Answer a data set by name."""
    rows = _aapl() if data_set == "aapl_daily" else _eurusd()
    times = np.array([row[0] for row in rows], dtype="datetime64[s]")
    prices = np.array([row[1:] for row in rows], dtype=np.float64).T.copy()
    return Market(times, *prices)


def _aapl() -> list[tuple]:
    path = _package("bokeh_sampledata") / "_data" / "stocks.csv.gz"
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["Ticker"] == "AAPL"]
    answer = []
    for row in rows:
        scale = float(row["Adj Close"]) / float(row["Close"])
        prices = (float(row[name]) * scale for name in ("Open", "High", "Low", "Close"))
        answer.append((row["Date"], *prices))
    return answer


def _eurusd() -> list[tuple]:
    path = _package("gym_anytrading") / "datasets" / "data" / "FOREX_EURUSD_1H_ASK.csv"
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    answer = []
    for row in rows:
        moment = datetime.strptime(row["Time"], "%d.%m.%Y %H:%M:%S.%f").replace(tzinfo=UTC)
        prices = (float(row[name]) for name in ("Open", "High", "Low", "Close"))
        answer.append((moment.replace(tzinfo=None).isoformat(), *prices))
    return answer


def _package(name: str) -> Path:
    spec = importlib.util.find_spec(name)
    return Path(next(iter(spec.submodule_search_locations)))
