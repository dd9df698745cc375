import numpy as np
import pytest

from core.trading.strategy.signals import Ambiguity, Entry, Level, LevelKind
from tests.core.trading.backtest.worked import (
    asks,
    entered,
    flat,
    level,
    lived,
    market,
    percent,
    refused,
    told,
)


def test_a_level_is_active_on_the_entry_bar() -> None:
    bars = market(*flat(100, 1), (100, 101, 94, 96), *flat(96, 1))
    assert told(lived(asks(bars, long=[0], stop=percent(5)), bars)) == [(1, 1, 1, 100, 95, "stop")]


def test_a_gap_through_a_level_fills_at_the_open() -> None:
    fall = market(*flat(100, 2), (90, 91, 89, 90), *flat(90, 1))
    assert told(lived(asks(fall, long=[0], stop=percent(5)), fall))[0][4:] == (90, "stop")
    rise = market(*flat(100, 2), (111, 112, 80, 111), *flat(90, 1))
    signals = asks(rise, long=[0], stop=percent(5), target=percent(10))
    assert told(lived(signals, rise))[0][4:] == (111, "target")


@pytest.mark.parametrize(
    ("rule", "row", "exit_price"),
    [
        (Ambiguity.WORST, (100, 111, 94, 100), 95),
        (Ambiguity.BEST, (100, 111, 94, 100), 110),
        (Ambiguity.PATH, (100, 111, 94, 100), 95),
        (Ambiguity.PATH, (101, 110, 91, 100), 110),
        (Ambiguity.PATH, (100, 110, 90, 100), 95),
    ],
)
def test_stop_and_target_inside_one_bar(
    rule: Ambiguity, row: tuple[float, float, float, float], exit_price: float
) -> None:
    bars = market(*flat(100, 2), row, *flat(100, 1))
    signals = asks(bars, long=[0], stop=percent(5), target=percent(10), ambiguity=rule)
    assert told(lived(signals, bars))[0][4] == exit_price


def test_a_short_is_a_long_in_a_mirrored_market() -> None:
    bars = market(*flat(100, 2), (100, 106, 89, 100), *flat(100, 1))
    worst = asks(bars, short=[0], stop=percent(5), target=percent(10))
    assert told(lived(worst, bars)) == [(1, 2, -1, 100, 105, "stop")]
    best = asks(bars, short=[0], stop=percent(5), target=percent(10), ambiguity=Ambiguity.BEST)
    assert told(lived(best, bars)) == [(1, 2, -1, 100, 90, "target")]


def test_distances_are_read_at_the_signal_and_measured_from_the_fill() -> None:
    bars = market(*flat(100, 1), (102, 102, 101, 101), (101, 101, 90, 95), *flat(95, 1))
    distance = Level(LevelKind.DISTANCE, np.array([4.0, 1.0, 1.0, 1.0]))
    assert told(lived(asks(bars, long=[0], stop=distance), bars))[0][4] == 98


def test_r_is_the_distance_from_fill_to_stop() -> None:
    bars = market(*flat(100, 2), (100, 107, 100, 106), *flat(106, 1))
    signals = asks(bars, long=[0], stop=percent(2), target=level(LevelKind.R, 3))
    assert told(lived(signals, bars)) == [(1, 2, 1, 100, 106, "target")]


@pytest.mark.parametrize(
    ("levels", "reason"),
    [
        ({"stop": level(LevelKind.PRICE, 101)}, "stop_on_wrong_side"),
        ({"target": level(LevelKind.PRICE, 99)}, "target_on_wrong_side"),
        ({"trail": level(LevelKind.PRICE, 103)}, "trail_on_wrong_side"),
        ({"stop": level(LevelKind.DISTANCE, np.nan)}, "unknown_level"),
    ],
)
def test_a_level_on_the_wrong_side_of_the_fill_rejects_the_entry(
    levels: dict[str, Level], reason: str
) -> None:
    bars = market(*flat(100, 3))
    simulation = lived(asks(bars, long=[0], **levels), bars)
    assert refused(simulation) == [(1, reason)]
    assert entered(simulation)[0] == 0.0


def test_a_trail_moves_at_the_close_and_never_loosens() -> None:
    rows = [*flat(100, 1), (100, 110, 99, 108), (108, 109, 105.5, 106), (106, 106, 104, 104)]
    bars = market(*rows, *flat(104, 1))
    simulation = lived(asks(bars, long=[0], trail=level(LevelKind.DISTANCE, 5)), bars)
    assert told(simulation) == [(1, 3, 1, 100, 105, "trail")]


def test_a_trail_is_not_active_on_the_bar_that_moves_it() -> None:
    bars = market(*flat(100, 1), (100, 110, 99, 100), *flat(106, 2))
    simulation = lived(asks(bars, long=[0], trail=level(LevelKind.DISTANCE, 5)), bars)
    assert entered(simulation)[0] > 0.0


def test_after_r_arms_the_trail() -> None:
    rows = [*flat(100, 1), (100, 101, 100, 101), (101, 101, 98.5, 99), (99, 105, 99, 104)]
    bars = market(*rows, (104, 104, 102, 102), *flat(102, 1))
    signals = asks(
        bars, long=[0], stop=percent(2), trail=level(LevelKind.DISTANCE, 2), trail_after_r=2.0
    )
    assert told(lived(signals, bars)) == [(1, 4, 1, 100, 103, "trail")]


def test_the_tighter_of_stop_and_trail_holds() -> None:
    bars = market(*flat(100, 1), (100, 101, 100, 101), (101, 101, 90, 95), *flat(95, 1))
    wide = asks(bars, long=[0], stop=percent(2), trail=level(LevelKind.DISTANCE, 5))
    assert told(lived(wide, bars))[0][4:] == (98, "stop")
    tight = asks(bars, long=[0], stop=percent(8), trail=level(LevelKind.DISTANCE, 5))
    assert told(lived(tight, bars))[0][4:] == (96, "trail")


def test_after_a_limit_fill_inside_a_bar_its_target_counts_only_under_best_or_path() -> None:
    bars = market(*flat(100, 1), (100, 112, 97, 111), *flat(111, 1))
    exits = {}
    for rule in Ambiguity:
        signals = asks(
            bars,
            long=[0],
            price=98,
            entry=Entry.LIMIT,
            target=level(LevelKind.PRICE, 110),
            ambiguity=rule,
        )
        exits[rule.name] = told(lived(signals, bars))
    assert exits["BEST"] == exits["PATH"] == [(1, 1, 1, 98, 110, "target")]
    assert exits["WORST"] == [(1, 2, 1, 98, 111, "target")]


def test_after_a_limit_fill_inside_a_bar_its_stop_counts() -> None:
    bars = market(*flat(100, 1), (100, 112, 90, 111), *flat(111, 1))
    signals = asks(bars, long=[0], price=98, entry=Entry.LIMIT, stop=level(LevelKind.PRICE, 95))
    assert told(lived(signals, bars)) == [(1, 1, 1, 98, 95, "stop")]
