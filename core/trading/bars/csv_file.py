"""Bars as CSV: comma, semicolon or tab, UTF-8, a header line."""

import codecs
import csv
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.csv as pc

from core.trading.bars.columns import ColumnParts, LinesOf, RawColumns
from core.trading.bars.faults import FileFaults
from core.trading.bars.header import MAX_COLUMNS, NUMBERS, Header, match_header, meaning
from core.trading.bars.limits import Limits
from core.trading.bars.number_texts import parse_numbers
from core.trading.bars.time_texts import TimeForm, parse_times

_DELIMITERS = (",", ";", "\t")
_LONGEST_HEADER = 65_536
_BLOCK_BYTES = 8 << 20
_MOST_BROKEN_ROWS = 1_000
_CHUNK = 16 << 20
_LONGEST_SHOWN = 40
_NUMBER_HINT = "Write numbers with a decimal point: 1234.5."
_TIME_HINT = (
    "Times are ISO 8601 (2024-01-31 09:30:00), epoch seconds or milliseconds, or "
    "DD.MM.YYYY HH:MM:SS."
)


@dataclass(frozen=True, slots=True)
class _Dialect:
    """`width`: how many columns the header names."""

    delimiter: str
    width: int


def read_csv(data: bytes, limits: Limits, faults: FileFaults) -> RawColumns | None:
    """Read the columns of a CSV file; None where a fault of the file as a whole prevents it."""
    if not _is_utf8(data, faults):
        return None
    found = _header_line(data)
    if found is None:
        faults.add("", "no_rows", "The file is empty.", "Send a header line and one row per bar.")
        return None
    line, body_at, header_lines = found
    delimiter = _delimiter(line)
    names = next(csv.reader([line], delimiter=delimiter), [])
    dialect = _Dialect(delimiter, len(names))
    if len(names) > MAX_COLUMNS or len(line) > _LONGEST_HEADER:
        faults.add("/header", "unreadable", "The first line is too long to be a header.")
        return None
    header = match_header(names, faults)
    if data.count(b"\n", body_at) > limits.max_rows + 1:
        add_too_many_rows(limits, faults)
        return None
    if not header.positions:
        return None
    body = pa.py_buffer(memoryview(data)[body_at:])
    parts = _read_body(body, dialect, header, limits, faults)
    return parts.build(header, _lines_of(data, body_at, header_lines)) if parts else None


def add_too_many_rows(limits: Limits, faults: FileFaults) -> None:
    """Add the fault of a file with more rows than are read."""
    faults.add(
        "",
        "too_many_rows",
        f"The file has more than {limits.max_rows:,} rows.",
        "Split it by time, or send bars of a longer timeframe.",
    )


def _is_utf8(data: bytes, faults: FileFaults) -> bool:
    if data.isascii() and b"\0" not in data[:4096]:
        return True
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for start in range(0, len(data), _CHUNK):
            decoder.decode(data[start : start + _CHUNK], final=start + _CHUNK >= len(data))
    except UnicodeDecodeError:
        pass
    else:
        if b"\0" not in data[:4096]:
            return True
    faults.add(
        "",
        "not_utf8",
        "The file is not text in UTF-8.",
        "Save it as CSV in UTF-8 (in Excel: `CSV UTF-8`), or send Parquet.",
    )
    return False


def _header_line(data: bytes) -> tuple[str, int, int] | None:
    """Answer the first line that is not blank, where the next begins, and its number from 1."""
    start = len(codecs.BOM_UTF8) if data.startswith(codecs.BOM_UTF8) else 0
    number = 0
    while start < len(data):
        number += 1
        ends = [at for at in (data.find(b"\n", start), data.find(b"\r", start)) if at >= 0]
        end = min(ends, default=len(data))
        following = end + 2 if data[end : end + 2] == b"\r\n" else end + 1
        line = data[start:end].decode("utf-8", errors="replace")
        if line.strip():
            return line, min(following, len(data)), number
        start = following
    return None


def _delimiter(line: str) -> str:
    """Answer the delimiter under which most names mean something, else the most frequent."""

    def merit(delimiter: str) -> tuple[int, int]:
        names = next(csv.reader([line], delimiter=delimiter), [])
        known = sum(meaning(name, place) is not None for place, name in enumerate(names) if name)
        return known, line.count(delimiter)

    return max(_DELIMITERS, key=merit)


def _read_body(
    body: pa.Buffer, dialect: _Dialect, header: Header, limits: Limits, faults: FileFaults
) -> ColumnParts | None:
    columns = {means: f"c{place}" for means, place in header.positions.items()}
    parts = ColumnParts(name for name in NUMBERS if name in columns)
    if not body.size:
        return parts
    try:
        for batch in _open(body, dialect, list(columns.values()), faults):
            _add_batch(batch, columns, parts, faults)
            if parts.rows > limits.max_rows:
                add_too_many_rows(limits, faults)
                return None
    except pa.ArrowException:
        row = parts.rows + len(faults.left_out)
        faults.add(
            "",
            "unreadable",
            f"Reading stopped after row {row}: what follows is no CSV.",
            "Check the delimiter, and the quotes around texts.",
        )
        return None
    return parts


def _open(
    body: pa.Buffer, dialect: _Dialect, columns: list[str], faults: FileFaults
) -> pc.CSVStreamingReader:
    """Open the rows as batches of texts, of the wanted columns only."""
    return pc.open_csv(
        pa.BufferReader(body),
        read_options=pc.ReadOptions(
            column_names=[f"c{place}" for place in range(dialect.width)],
            block_size=min(_BLOCK_BYTES, body.size),
            use_threads=False,
        ),
        parse_options=pc.ParseOptions(
            delimiter=dialect.delimiter, invalid_row_handler=_broken_rows(faults)
        ),
        convert_options=pc.ConvertOptions(
            column_types=dict.fromkeys(columns, pa.string()),
            include_columns=columns,
            strings_can_be_null=False,
            check_utf8=False,
        ),
    )


def _broken_rows(faults: FileFaults) -> Callable[[pc.InvalidRow], str]:
    def note(row: pc.InvalidRow) -> str:
        if len(faults.left_out) >= _MOST_BROKEN_ROWS:
            return "error"
        faults.add_left_out(
            "columns",
            row.number,
            f"it has {row.actual_columns} values, the header names {row.expected_columns}.",
            hint="The file may be cut off here, or a decimal comma was taken as a delimiter.",
        )
        return "skip"

    return note


def _add_batch(
    batch: pa.RecordBatch, columns: dict[str, str], parts: ColumnParts, faults: FileFaults
) -> None:
    done = parts.rows
    micros, forms = np.zeros(len(batch), np.int64), np.zeros(len(batch), np.int8)
    if "time" in columns:
        texts = batch.column(columns["time"])
        micros, forms = parse_times(texts)
        unreadable = np.flatnonzero(forms == TimeForm.UNREADABLE) + done
        describe = _quoting("its time {} is not one that can be read.", texts, done)
        faults.add_rows("bad_time", unreadable, describe, hint=_TIME_HINT)
    parts.add_times(micros, forms)
    for name in NUMBERS:
        if name in columns:
            texts = batch.column(columns[name])
            values, bad = parse_numbers(texts)
            parts.add_numbers(name, values, bad)
            describe = _quoting(f"its {name} {{}} is not a number.", texts, done)
            faults.add_rows("type", bad + done, describe, hint=_NUMBER_HINT)
    parts.finish_batch(len(batch))


def _quoting(message: str, texts: pa.StringArray, done: int) -> Callable[[int], str]:
    """Answer a function that puts what stands in a row into the message."""
    return lambda row: message.format(repr(texts[row - done].as_py()[:_LONGEST_SHOWN]))


def _lines_of(data: bytes, body_at: int, header_lines: int) -> LinesOf:
    """Answer a function from row numbers (empty lines not counted) to lines of the file.

    It is exact unless a quoted text has a line break in it.
    """

    def lines_of(numbers: Iterable[int]) -> dict[int, int]:
        wanted = sorted(set(numbers), reverse=True)
        lines: dict[int, int] = {}
        row, line, start = 0, header_lines, body_at
        while wanted and start < len(data):
            end = data.find(b"\n", start)
            end = len(data) if end < 0 else end
            line += 1
            if data[start:end] not in (b"", b"\r"):
                row += 1
                if wanted[-1] == row:
                    lines[wanted.pop()] = line
            start = end + 1
        return lines

    return lines_of
