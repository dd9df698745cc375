from dataclasses import replace

import numpy as np
import pytest

from core.trading.bars.series import Bars
from core.trading.bars.splits import find_jumps
from core.trading.bars.timeframes import Timeframe
from tests.core.trading.bars.builders import some_bars


def jumping(factor: float, *, volume: float = 1.0, close: float = 1.0) -> Bars:
    """Answer bars whose prices are multiplied by `factor` from bar 30 on."""
    bars = some_bars(n=60)
    scale = np.where(np.arange(60) < 30, 1.0, factor)
    prices = {name: getattr(bars, name) * scale for name in ("open", "high", "low", "close")}
    prices["close"][30:] *= close
    volumes = np.where(np.arange(60) == 30, bars.volume * volume, bars.volume)
    return replace(bars, volume=volumes, **prices)


@pytest.mark.parametrize(
    ("factor", "volume", "ratio"),
    [
        (1 / 2, 2.0, "2:1"),
        (1 / 3, 3.0, "3:1"),
        (2 / 3, 1.5, "3:2"),
        (1 / 7, 7.0, "7:1"),
        (10.0, 0.1, "1:10"),
        (0.505, 1.0, "2:1"),
        (1 / 2, 9.0, "2:1"),
    ],
)
def test_a_jump_by_a_ratio_of_small_numbers_is_a_suspected_split(
    factor: float, volume: float, ratio: str
) -> None:
    (jump,) = find_jumps(jumping(factor, volume=volume))
    assert (jump.at, jump.ratio) == (30, ratio)


@pytest.mark.parametrize(
    ("factor", "volume", "close"),
    [(0.527, 22.0, 1.0), (0.55, 1.0, 1.0), (0.5, 20.0, 1.0), (0.5, 1.0, 1.9)],
    ids=["AAPL 2000-09-29", "off every ratio", "in a storm of volume", "gone by the close"],
)
def test_a_crash_is_a_large_move_and_no_split(factor: float, volume: float, close: float) -> None:
    (jump,) = find_jumps(jumping(factor, volume=volume, close=close))[:1]
    assert jump.ratio is None


def test_without_volume_the_price_alone_decides() -> None:
    bars = jumping(0.5)
    (jump,) = find_jumps(replace(bars, volume=np.zeros(60)))
    assert (jump.ratio, jump.volume_factor) == ("2:1", None)


def test_ordinary_moves_are_no_jumps() -> None:
    assert find_jumps(jumping(0.85)) == ()


def test_within_a_session_nothing_splits() -> None:
    bars = replace(jumping(0.5), timeframe=Timeframe.H1, stamps=np.arange(60) * 3_600_000_000)
    assert find_jumps(bars) == ()
    overnight = bars.stamps + np.where(np.arange(60) < 30, 0, 15 * 3_600_000_000)
    assert len(find_jumps(replace(bars, stamps=overnight))) == 1
