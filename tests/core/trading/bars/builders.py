"""What the tests of bars are built from."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from core.errors import Fault, InvalidInputError
from core.trading.bars.limits import Limits
from core.trading.bars.read import DEFAULT_LIMITS, Reading, read_bars
from core.trading.bars.series import Bars
from core.trading.bars.timeframes import MICROSECONDS_PER_DAY, Timeframe

NOW = datetime(2026, 1, 1, tzinfo=UTC)
HEADER = "time,open,high,low,close,volume"


def a_csv(*rows: str, header: str = HEADER) -> bytes:
    return "\n".join([header, *rows, ""]).encode()


def a_file(*times: str) -> bytes:
    """Answer a CSV of sound bars with those times."""
    return a_csv(*(f"{time},1.5,2,1,1.75,100" for time in times))


def read(
    source: bytes | Path,
    timeframe: str = "1d",
    *,
    timezone: str | None = None,
    stamp: str = "open",
    now: datetime = NOW,
    limits: Limits = DEFAULT_LIMITS,
) -> Reading:
    return read_bars(
        source,
        symbol="TEST",
        timeframe=Timeframe.named(timeframe) or Timeframe.D1,
        timezone=timezone,
        stamp=stamp,
        now=now,
        limits=limits,
    )


def faults_of(source: bytes | Path, timeframe: str = "1d", **how: object) -> list[Fault]:
    with pytest.raises(InvalidInputError) as caught:
        read(source, timeframe, **how)
    return list(caught.value.errors)


def codes_of(source: bytes | Path, timeframe: str = "1d", **how: object) -> list[tuple[str, str]]:
    return [(fault.path, fault.code) for fault in faults_of(source, timeframe, **how)]


def utc(text: str) -> int:
    """Answer microseconds since the epoch of an ISO time in UTC."""
    return int(np.datetime64(text, "us").astype(np.int64))


def some_bars(
    stamps: np.ndarray | None = None, *, n: int = 40, timeframe: Timeframe = Timeframe.D1
) -> Bars:
    """Answer sound bars with a slow wave in them."""
    if stamps is None:
        stamps = np.arange(1, n + 1) * timeframe.microseconds + 20_000 * MICROSECONDS_PER_DAY
    close = 100 + np.sin(np.arange(len(stamps)) / 7)
    return Bars(
        symbol="TEST",
        timeframe=timeframe,
        stamps=np.asarray(stamps, dtype=np.int64),
        open=close.copy(),
        high=close + 1,
        low=close - 1,
        close=close,
        volume=np.full(len(stamps), 1000.0),
    )
