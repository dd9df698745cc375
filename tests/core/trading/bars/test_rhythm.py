from datetime import UTC, datetime, timedelta

import pytest

from core.trading.bars.rhythm import describe_length
from tests.core.trading.bars.builders import a_file, codes_of, read

MONDAY = datetime(2024, 3, 4, 9, 30, tzinfo=UTC)


def _times(*minutes: int) -> bytes:
    return a_file(*(f"{MONDAY + timedelta(minutes=m):%Y-%m-%d %H:%M}" for m in minutes))


def _sessions(step: int, count: int, days: int = 10) -> list[int]:
    return [day * 1440 + bar * step for day in range(days) for bar in range(count)]


@pytest.mark.parametrize(("timeframe", "step", "count"), [("1h", 60, 7), ("30m", 30, 13)])
def test_sessions_that_open_at_half_past_are_on_their_grid(
    timeframe: str, step: int, count: int
) -> None:
    times = _sessions(step, count)
    assert len(read(_times(*times), timeframe, timezone="UTC").bars) == len(times)


def test_a_thinly_traded_minute_chart_is_still_one() -> None:
    minutes = [m for m in range(600) if m % 7 < 3]
    assert len(read(_times(*minutes), "1m", timezone="UTC").bars) == len(minutes)


def test_a_bar_inside_another_is_refused() -> None:
    assert codes_of(_times(0, 60, 120, 150, 180, 240), "1h", timezone="UTC") == [
        ("/row/4", "bad_timeframe"),
        ("/row/5", "bad_timeframe"),
    ]


def test_a_bar_off_the_grid_is_refused() -> None:
    minutes = [*range(0, 6000, 60), 6017, *range(6120, 9000, 60)]
    assert ("/row/101", "bad_timeframe") in codes_of(_times(*minutes), "1h", timezone="UTC")


def test_hours_that_an_exchange_moved_for_good_are_no_fault() -> None:
    minutes = [*_sessions(60, 7), *(20 * 1440 - 15 + m for m in _sessions(60, 7))]
    assert len(read(_times(*minutes), "1h", timezone="UTC").bars) == len(minutes)


def test_four_hour_bars_may_move_by_the_hour_of_daylight_saving() -> None:
    times = [f"2024-03-{day:02} {hour:02}:00" for day in range(4, 20) for hour in range(0, 24, 4)]
    assert len(read(a_file(*times), "4h", timezone="America/New_York").bars) == len(times)


def test_two_daily_bars_over_a_weekend_are_daily() -> None:
    assert len(read(a_file("2024-03-01", "2024-03-04"), "1d").bars) == 2
    assert codes_of(a_file("2024-03-01", "2024-04-01"), "1d") == [("", "bad_timeframe")]


def test_weeks_that_end_a_day_early_are_still_weeks() -> None:
    weeks = a_file("2024-03-15", "2024-03-22", "2024-03-28", "2024-04-05", "2024-04-12")
    assert len(read(weeks, "1w", stamp="close").bars) == 5
    near = a_file("2024-03-08", "2024-03-15", "2024-03-22", "2024-03-24", "2024-03-31")
    assert codes_of(near, "1w") == [("/row/4", "bad_timeframe")]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        *((3600, "1h"), (86400, "1d"), (420, "about 7 minutes"), (2, "about 2 seconds")),
        *((1, "about 1 second"), (12_345 * 86_400, "about 12300 days")),
    ],
)
def test_lengths_are_named(seconds: int, words: str) -> None:
    assert describe_length(seconds * 1_000_000) == words
