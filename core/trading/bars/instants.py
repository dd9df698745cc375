"""Instants as columns hold them: microseconds since the Unix epoch, in UTC."""

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def to_micros(moment: datetime) -> int:
    """Answer an aware moment as microseconds, exactly."""
    return (moment - _EPOCH) // _MICROSECOND


def to_moment(micros: int) -> datetime:
    """Answer microseconds as a moment in UTC."""
    return _EPOCH + timedelta(microseconds=micros)
