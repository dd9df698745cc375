"""Which column of a file is which: the names that a header may use."""

from collections.abc import Sequence
from dataclasses import dataclass

from core.trading.bars.faults import FileFaults

PRICES = ("open", "high", "low", "close")
NUMBERS = (*PRICES, "volume")
TIME_NAMES = frozenset({"timestamp", "time", "date", "datetime"})
MAX_COLUMNS = 1_000


@dataclass(frozen=True, slots=True)
class Header:
    """`positions`: from `time`, `open` … `volume` to the column's index; `ignored`: other names."""

    positions: dict[str, int]
    ignored: tuple[str, ...]

    @property
    def has_volume(self) -> bool:
        """Whether the file has volumes at all; without them they are zero."""
        return "volume" in self.positions


def meaning(name: str, position: int) -> str | None:
    """Answer what a column of that name means (`time`, `open`, …), None for a column to ignore.

    Letter case and surrounding spaces do not matter; an empty name in the first column is time.
    """
    folded = name.strip().casefold()
    if folded in TIME_NAMES or (not folded and position == 0):
        return "time"
    return folded if folded in NUMBERS else None


def match_header(names: Sequence[str], faults: FileFaults) -> Header:
    """Find the columns by their names; what is missing or doubled is added to `faults`."""
    positions: dict[str, int] = {}
    ignored: list[str] = []
    for position, name in enumerate(names):
        means = meaning(name, position)
        if means is None:
            ignored.append(name.strip() or f"column {position + 1}")
        elif means in positions:
            first = names[positions[means]].strip()
            faults.add(
                "/header",
                "duplicate_column",
                f"Columns {positions[means] + 1} ({first!r}) and {position + 1} ({name.strip()!r}) "
                f"both mean {means}.",
                "Keep one of them; a date and a time of day belong into one column.",
            )
        else:
            positions[means] = position
    for wanted in ("time", *PRICES):
        if wanted not in positions:
            faults.add(
                "/header",
                "missing_column",
                f"No column is named {wanted}.",
                "The first line must name time, open, high, low and close, and may name volume; "
                "time may also be called timestamp, date or datetime.",
            )
    return Header(positions, tuple(ignored))
