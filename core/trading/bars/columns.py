"""A file's columns as they were read, before anything is said about their truth."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from core.trading.bars.header import Header
from core.trading.bars.series import FlagArray, FloatArray, IntArray

LinesOf = Callable[[Iterable[int]], dict[int, int]]


@dataclass(frozen=True, slots=True)
class RawColumns:
    """The rows of a file in its order, n of them.

    `micros`, `forms`: as `parse_times` answers. `numbers`: per column that the file has, of
    open, high, low, close, volume, float64[n], NaN where there is none; `unreadable`: int8[n]
    per column, 1 where what stood there was no number. `lines_of`: from row numbers to lines.
    """

    header: Header
    micros: IntArray
    forms: FlagArray
    numbers: dict[str, FloatArray]
    unreadable: dict[str, FlagArray]
    lines_of: LinesOf | None = None
    midnights_are_dates: bool = False

    def __len__(self) -> int:
        return len(self.micros)


class ColumnParts:
    """Gathers batches of columns; `rows` counts what came so far."""

    def __init__(self, names: Iterable[str]) -> None:
        self.rows = 0
        self._times: list[tuple[IntArray, FlagArray]] = []
        self._numbers: dict[str, list[FloatArray]] = {name: [] for name in names}
        self._unreadable: dict[str, list[IntArray]] = {name: [] for name in self._numbers}

    def add_times(self, micros: IntArray, forms: FlagArray) -> None:
        """Add the times of the batch at hand."""
        self._times.append((micros, forms))

    def add_numbers(self, name: str, values: FloatArray, unreadable: IntArray) -> None:
        """Add a column of the batch at hand; `unreadable` holds indexes into the batch."""
        self._numbers[name].append(values)
        self._unreadable[name].append(unreadable + self.rows)

    def finish_batch(self, rows: int) -> None:
        """Count the batch at hand in."""
        self.rows += rows

    def build(
        self, header: Header, lines_of: LinesOf | None = None, *, midnights_are_dates: bool = False
    ) -> RawColumns:
        """Answer all batches as whole columns, C-contiguous and writable."""
        micros = np.concatenate([part for part, _ in self._times] or [np.empty(0, np.int64)])
        forms = np.concatenate([part for _, part in self._times] or [np.empty(0, np.int8)])
        numbers: dict[str, FloatArray] = {}
        unreadable: dict[str, FlagArray] = {}
        for name in list(self._numbers):
            parts = self._numbers.pop(name)
            numbers[name] = np.concatenate(parts or [np.empty(0, np.float64)])
            flags = np.zeros(len(numbers[name]), dtype=np.int8)
            for rows in self._unreadable[name]:
                flags[rows] = 1
            unreadable[name] = flags
        return RawColumns(header, micros, forms, numbers, unreadable, lines_of, midnights_are_dates)
