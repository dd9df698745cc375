from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.trading.bars.instants import to_micros, to_moment
from core.trading.strategy.wall_clock import WallClock

ZONES = ["UTC", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "Africa/Cairo"]
MOMENTS = st.integers(to_micros(datetime(1980, 1, 1, tzinfo=UTC)), 2**51).map(to_moment)


@given(st.lists(MOMENTS, min_size=1, max_size=8), st.sampled_from(ZONES))
def test_a_bar_is_read_on_pythons_wall_clock_a_microsecond_before_its_stamp(
    moments: list[datetime], name: str
) -> None:
    moments.sort()
    clock = WallClock(np.array([to_micros(moment) for moment in moments]), name)
    shown = [(moment - timedelta(microseconds=1)).astimezone(ZoneInfo(name)) for moment in moments]
    days = [(moment.date() - date(1970, 1, 1)).days for moment in shown]
    assert clock.day.tolist() == np.maximum.accumulate(days).tolist()
    assert clock.hour.tolist() == [moment.hour for moment in shown]
    assert clock.weekday.tolist() == ((clock.day + 3) % 7).tolist()
    offsets = [moment.utcoffset() // timedelta(microseconds=1) for moment in shown]
    assert clock.offset.tolist() == offsets


def test_a_day_never_falls_where_clocks_go_back_over_midnight() -> None:
    """Cairo went back from 24:00 to 23:00 on 27 October 2023, and so had that hour twice."""
    hours = np.arange(np.datetime64("2023-10-26T19", "h"), np.datetime64("2023-10-27T00", "h"))
    clock = WallClock(hours.astype("datetime64[us]").astype(np.int64) + 1, "Africa/Cairo")
    assert clock.time.tolist() == [hour * 3_600_000_000 for hour in (22, 23, 23, 0, 1)]
    assert np.diff(clock.day).tolist() == [0, 0, 1, 0]


@pytest.mark.parametrize("year", [1, 9999])
def test_the_ends_of_the_calendar_are_read_without_a_fault(year: int) -> None:
    stamp = to_micros(datetime(year, 6, 1, tzinfo=UTC))
    assert len(WallClock(np.array([stamp]), "America/New_York").day) == 1
