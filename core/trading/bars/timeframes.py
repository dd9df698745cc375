"""The timeframes that a strategy may name, shortest first."""

from dataclasses import dataclass
from enum import Enum

MICROSECONDS_PER_SECOND = 1_000_000
MICROSECONDS_PER_DAY = 86_400 * MICROSECONDS_PER_SECOND


@dataclass(frozen=True, slots=True)
class _Span:
    name: str
    seconds: int


class Timeframe(Enum):
    """A bar's length; `1d` and `1w` are calendar days and weeks of the session's timezone."""

    M1 = _Span("1m", 60)
    M5 = _Span("5m", 300)
    M15 = _Span("15m", 900)
    M30 = _Span("30m", 1_800)
    H1 = _Span("1h", 3_600)
    H4 = _Span("4h", 14_400)
    D1 = _Span("1d", 86_400)
    W1 = _Span("1w", 604_800)

    @property
    def label(self) -> str:
        """The name as it stands in documents, `1h`."""
        return self.value.name

    @property
    def microseconds(self) -> int:
        """The nominal length; a day of a timezone may be an hour longer or shorter."""
        return self.value.seconds * MICROSECONDS_PER_SECOND

    @classmethod
    def named(cls, label: str) -> "Timeframe | None":
        """Answer the timeframe of that label, None where there is none."""
        return next((member for member in cls if member.label == label), None)

    @classmethod
    def labelled(cls, label: str) -> "Timeframe":
        """Answer the timeframe of a label that was checked before."""
        return next(member for member in cls if member.label == label)


LABELS = tuple(member.label for member in Timeframe)
