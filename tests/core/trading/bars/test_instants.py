from datetime import UTC, datetime, timedelta, timezone

from core.trading.bars.instants import to_micros, to_moment


def test_a_moment_and_its_microseconds_mean_the_same() -> None:
    moment = datetime(2024, 3, 4, 1, 30, 0, 7, tzinfo=timezone(timedelta(hours=2)))
    assert to_micros(moment) == 1_709_508_600_000_007
    assert to_moment(1_709_508_600_000_007) == moment
    assert to_moment(-1) == datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)
