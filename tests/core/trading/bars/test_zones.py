from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.trading.bars.zones import load_zone
from tests.core.trading.bars.builders import a_file, codes_of, read, utc

NAMES = ["America/New_York", "Europe/Berlin", "Asia/Kolkata", "Australia/Lord_Howe", "UTC"]
SECONDS = st.integers(utc("1995-01-01") // 1_000_000, utc("2036-01-01") // 1_000_000)


@given(st.sampled_from(NAMES), st.lists(SECONDS, min_size=1, max_size=20))
def test_the_wall_clock_agrees_with_pythons(name: str, seconds: list[int]) -> None:
    instants = np.array(seconds, dtype=np.int64) * 1_000_000
    zone = load_zone(name, int(instants.min()), int(instants.max()))
    there = [datetime.fromtimestamp(s, tz=UTC).astimezone(ZoneInfo(name)) for s in seconds]
    expected = [utc(moment.replace(tzinfo=None).isoformat()) for moment in there]
    assert zone.to_local(instants).tolist() == expected
    first, second = zone.candidates(zone.to_local(instants))
    assert ((first == instants) | (second == instants)).all()


NEW_YORK = "America/New_York"


def _stamps(times: list[str], timeframe: str = "30m", zone: str = NEW_YORK) -> list[str]:
    bars = read(a_file(*times), timeframe, timezone=zone, stamp="close").bars
    return [str(np.datetime64(int(stamp), "us"))[5:16] for stamp in bars.stamps]


def test_a_doubled_hour_is_resolved_where_the_clock_steps_back_in_it() -> None:
    times = [f"2024-11-03 {t}" for t in ("00:30", "01:00", "01:30", "01:00", "01:30", "02:00")]
    assert _stamps(times) == [
        f"11-03T{t}" for t in ("04:30", "05:00", "05:30", "06:00", "06:30", "07:00")
    ]


def test_a_doubled_hour_of_hourly_bars_is_resolved_by_the_repeated_time() -> None:
    times = [f"2024-11-03 {t}" for t in ("00:00", "01:00", "01:00", "02:00")]
    assert _stamps(times, "1h") == [f"11-03T{t}" for t in ("04:00", "05:00", "06:00", "07:00")]


def test_a_doubled_hour_with_one_pass_only_is_a_fault() -> None:
    times = [f"2024-11-03 {t}" for t in ("00:30", "01:00", "01:30", "02:00", "02:30")]
    assert codes_of(a_file(*times), "30m", timezone=NEW_YORK) == [
        ("/row/2", "ambiguous_time"),
        ("/row/3", "ambiguous_time"),
    ]


def test_a_time_that_clocks_skip_is_a_fault() -> None:
    times = [f"2024-03-10 {t}" for t in ("01:00", "01:30", "02:00", "02:30", "03:00")]
    assert codes_of(a_file(*times), "30m", timezone=NEW_YORK) == [
        ("/row/3", "nonexistent_time"),
        ("/row/4", "nonexistent_time"),
    ]


def test_the_hour_that_is_skipped_is_no_gap() -> None:
    times = [f"2024-03-10 {t}" for t in ("01:00", "01:30", "03:00", "03:30")]
    assert _stamps(times) == [f"03-10T{t}" for t in ("06:00", "06:30", "07:00", "07:30")]


@pytest.mark.parametrize(
    ("days", "hours"),
    [
        (("2024-03-09", "2024-03-10", "2024-03-11"), [24, 23]),
        (("2024-11-02", "2024-11-03", "2024-11-04"), [24, 25]),
    ],
)
def test_a_day_of_a_timezone_ends_at_its_own_midnight(
    days: tuple[str, ...], hours: list[int]
) -> None:
    bars = read(a_file(*(f"{day} 00:00" for day in days)), "1d", timezone=NEW_YORK).bars
    assert (np.diff(bars.stamps) // 3_600_000_000).tolist() == [hours[1], 24]
    assert bars.stamps[0] == utc(f"{days[1]}T05:00" if hours[1] == 23 else f"{days[1]}T04:00")
    assert bars.label_offset == 0


def test_a_day_whose_midnight_is_skipped_begins_after_the_switch() -> None:
    days = ("2018-11-02", "2018-11-03", "2018-11-04", "2018-11-05")
    bars = read(a_file(*(f"{day} 00:00" for day in days)), "1d", timezone="America/Sao_Paulo").bars
    assert bars.stamps[1] == utc("2018-11-04T03:00")


def test_daily_times_with_an_offset_are_days_of_the_timezone_that_is_given() -> None:
    days = a_file(
        "2024-03-08T05:00Z", "2024-03-09T05:00Z", "2024-03-10T05:00Z", "2024-03-11T04:00Z"
    )
    assert read(days, "1d", timezone=NEW_YORK).bars.stamps[2] == utc("2024-03-11T04:00")
    assert {code for _, code in codes_of(days, "1d")} == {"bad_timeframe"}


def test_daily_closes_are_kept_and_two_of_one_day_refused() -> None:
    closes = ["2024-03-04 16:00", "2024-03-05 16:00", "2024-03-06 16:00", "2024-03-07 16:00"]
    bars = read(a_file(*closes), "1d", timezone=NEW_YORK, stamp="close").bars
    assert bars.stamps[0] == utc("2024-03-04T21:00")
    twice = a_file(*closes, "2024-03-07 17:00")
    assert codes_of(twice, "1d", timezone=NEW_YORK, stamp="close") == [("/row/5", "bad_timeframe")]


def test_there_is_no_zone_of_a_wrong_name() -> None:
    assert load_zone("Mars/Olympus", 0, 1) is None
