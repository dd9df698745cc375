"""Every fault of a file at once, bounded: the first rows of each kind and how many there are."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from core.errors import Fault, InvalidInputError
from core.wording import counted

ROWS_PER_KIND = 20


@dataclass(slots=True)
class _Kind:
    hint: str
    counted_raw: bool
    count: int = 0
    first: list[tuple[int, str]] = field(default_factory=list)


class FileFaults:
    """Collects what is wrong with one file of bars.

    A data row is numbered from 1, the header and empty lines not counted, and that number stands
    in the path, `/row/17`; the message adds the line that an editor shows where there is one.
    Rows are handed in as indexes from 0 into the columns as read; `left_out` lists, in order,
    the numbers of rows that never made it into the columns.
    """

    def __init__(self) -> None:
        self.whole: list[Fault] = []
        self.left_out: list[int] = []
        self._kinds: dict[str, _Kind] = {}

    def __bool__(self) -> bool:
        return bool(self.whole or self._kinds)

    def add(self, path: str, code: str, message: str, hint: str = "") -> None:
        """Add a fault of the file as a whole or of its header."""
        self.whole.append(Fault(path, code, message, hint))

    def add_rows(
        self,
        code: str,
        rows: NDArray[np.integer],
        message: str | Callable[[int], str],
        *,
        hint: str = "",
    ) -> None:
        """Add one fault per index of `rows`; a function is asked only for those that are kept."""
        if len(rows):
            kind = self._kinds.setdefault(code, _Kind(hint, counted_raw=False))
            kind.count += len(rows)
            room = ROWS_PER_KIND - len(kind.first)
            for row in rows[:room].tolist():
                kind.first.append((row, message if isinstance(message, str) else message(row)))

    def add_left_out(self, code: str, number: int, message: str, *, hint: str) -> None:
        """Add the fault of a row that could not be read into the columns at all."""
        kind = self._kinds.setdefault(code, _Kind(hint, counted_raw=True))
        kind.count += 1
        self.left_out.append(number)
        if len(kind.first) < ROWS_PER_KIND:
            kind.first.append((number, message))

    def error(
        self, name: str, lines_of: Callable[[Iterable[int]], dict[int, int]] | None = None
    ) -> InvalidInputError:
        """Answer the error that lists them all; `lines_of` maps row numbers to lines."""
        numbered = {
            code: [(row if kind.counted_raw else self._number(row), text) for row, text in first]
            for code, kind in self._kinds.items()
            for first in [kind.first]
        }
        wanted = {number for rows in numbered.values() for number, _ in rows}
        lines = lines_of(wanted) if lines_of and wanted else {}
        faults = list(self.whole)
        for code, rows in numbered.items():
            kind = self._kinds[code]
            for number, text in sorted(rows):
                line = f" (line {lines[number]})" if number in lines else ""
                faults.append(
                    Fault(f"/row/{number}", code, f"Row {number}{line}: {text}", kind.hint)
                )
            if kind.count > len(rows):
                more = f"{kind.count:,} rows have this fault; the first {len(rows)} are listed."
                faults.append(Fault("", code, more, kind.hint))
        count = len(self.whole) + sum(kind.count for kind in self._kinds.values())
        return InvalidInputError(f"{name} was not read: {counted(count, 'fault')}.", errors=faults)

    def _number(self, row: int) -> int:
        """Answer the number from 1 of an index, stepping over the rows that were left out."""
        number = row + 1
        for missing in sorted(self.left_out):
            if missing > number:
                break
            number += 1
        return number
