"""Reading a file of bars: everything that is wrong with it at once, and nothing altered."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

from core.errors import Fault
from core.trading.bars.columns import RawColumns
from core.trading.bars.csv_file import read_csv
from core.trading.bars.faults import FileFaults
from core.trading.bars.header import NUMBERS
from core.trading.bars.instants import to_micros
from core.trading.bars.limits import Limits
from core.trading.bars.parquet_file import read_parquet
from core.trading.bars.prices import check_prices
from core.trading.bars.series import Bars, FloatArray
from core.trading.bars.stamping import Clock, Stamped, stamp_bars
from core.trading.bars.time_texts import TimeForm
from core.trading.bars.timeframes import Timeframe

DEFAULT_LIMITS = Limits()
STAMPS = ("open", "close")
_PARQUET_MAGIC = b"PAR1"
_OTHER_MAGICS = {b"\x1f\x8b": "gzip", b"PK\x03\x04": "a zip archive or an Excel workbook"}


@dataclass(frozen=True, slots=True)
class ReadNotes:
    """What reading a file found out about it.

    `file_format`: `csv` or `parquet`; `time_form`: how it writes times, in words; `timezone`:
    what the caller gave; `stamp`: `open`, `close`, or `date` where rows have a date only;
    `ignored`: names of columns that were not used; `warnings`: what may surprise.
    """

    file_format: str
    time_form: str
    timezone: str | None
    stamp: str
    ignored: tuple[str, ...]
    warnings: tuple[Fault, ...]


class Reading(NamedTuple):
    """The bars of a file, and what was found out on the way."""

    bars: Bars
    notes: ReadNotes


def read_bars(
    source: Path | bytes | BinaryIO,
    *,
    symbol: str,
    timeframe: Timeframe,
    now: datetime,
    timezone: str | None = None,
    stamp: str = "open",
    file_name: str = "",
    limits: Limits = DEFAULT_LIMITS,
) -> Reading:
    """Read CSV or Parquet (told apart by content) as bars, oldest first.

    `timezone`: IANA name for times without an offset, and the one whose days 1d and 1w bars are;
    `stamp`: whether the file stamps a bar by its open or its close; `now`: aware, a bar that
    closes later than one timeframe after it is a fault; `file_name`: for messages only.
    Raises InvalidInputError with every fault found, rows bounded to the first 20 of a kind.
    """
    if now.tzinfo is None:
        raise ValueError("`now` must carry its offset from UTC")
    name = file_name or (source.name if isinstance(source, Path) else "The file")
    faults = FileFaults()
    if stamp not in STAMPS:
        faults.add("/stamp", "one_of", f"{stamp!r} is neither open nor close.")
    data = _load(source, limits, faults)
    if data is None or faults:
        raise faults.error(name)
    file_format = "parquet" if data.startswith(_PARQUET_MAGIC) else "csv"
    reader = read_parquet if file_format == "parquet" else read_csv
    raw = reader(data, limits, faults)
    del data
    if raw is None:
        raise faults.error(name)
    clock = Clock(timeframe, timezone, stamp, to_micros(now), raw.midnights_are_dates)
    stamped = _check(raw, clock, faults)
    if faults or stamped is None:
        raise faults.error(name, raw.lines_of)
    bars = _bars(raw, stamped, symbol, timeframe)
    return Reading(bars, _notes(raw, stamped, clock, file_format))


def _load(source: Path | bytes | BinaryIO, limits: Limits, faults: FileFaults) -> bytes | None:
    """Answer the file's bytes; None where it is too large or not to be read."""
    try:
        if isinstance(source, bytes):
            data = source
        elif isinstance(source, Path):
            with source.open("rb") as file:
                data = file.read(limits.max_bytes + 1)
        else:
            data = source.read(limits.max_bytes + 1)
    except OSError as error:
        faults.add("", "unreadable", f"The file cannot be opened: {error.strerror or error}.")
        return None
    if len(data) > limits.max_bytes:
        faults.add("", "too_large", f"The file has more than {limits.max_bytes:,} bytes.")
        return None
    for magic, kind in _OTHER_MAGICS.items():
        if data.startswith(magic):
            faults.add("", "unreadable", f"The file is {kind}.", "Send CSV or Parquet itself.")
    return data


def _check(raw: RawColumns, clock: Clock, faults: FileFaults) -> Stamped | None:
    if not len(raw) and not faults:
        faults.add("", "no_rows", "The file has a header and no rows.")
    check_prices(raw.numbers, raw.unreadable, faults)
    if "time" not in raw.header.positions:
        return None
    return stamp_bars(raw.micros, raw.forms, clock, faults)


def _bars(raw: RawColumns, stamped: Stamped, symbol: str, timeframe: Timeframe) -> Bars:
    def column(name: str) -> FloatArray:
        if name not in raw.numbers:
            return np.zeros(len(raw), dtype=np.float64)
        values = raw.numbers[name]
        values += 0.0
        return np.ascontiguousarray(values)

    return Bars(
        symbol=symbol,
        timeframe=timeframe,
        stamps=np.ascontiguousarray(stamped.stamps),
        label_offset=stamped.label_offset,
        **{name: column(name) for name in NUMBERS},
    )


def _notes(raw: RawColumns, stamped: Stamped, clock: Clock, file_format: str) -> ReadNotes:
    return ReadNotes(
        file_format=file_format,
        time_form=stamped.form.described,
        timezone=clock.timezone,
        stamp="date" if stamped.label_offset else clock.stamp,
        ignored=raw.header.ignored,
        warnings=tuple(_warnings(raw, stamped, clock)),
    )


def _warnings(raw: RawColumns, stamped: Stamped, clock: Clock) -> list[Fault]:
    warnings = []
    if raw.header.ignored:
        names = ", ".join(repr(name) for name in raw.header.ignored)
        adjusted = any(name.casefold().startswith("adj") for name in raw.header.ignored)
        hint = "Prices are taken as they stand, not adjusted." if adjusted else ""
        warnings.append(Fault("/header", "ignored_columns", f"Columns not used: {names}.", hint))
    if not raw.header.has_volume:
        text = "There is no volume column; volume is zero in every bar."
        warnings.append(Fault("/header", "no_volume", text))
    if stamped.form in (
        TimeForm.EPOCH_S,
        TimeForm.EPOCH_MS,
        TimeForm.EPOCH_US,
        TimeForm.EPOCH_NS,
    ):
        text = f"The times were read as {stamped.form.described}."
        warnings.append(Fault("/header", "epoch_unit", text))
    if clock.timezone is not None and stamped.label_offset:
        text = f"The rows have dates only, so that the timezone {clock.timezone} was not used."
        warnings.append(Fault("/timezone", "timezone_unused", text))
    if int(stamped.stamps[-1]) > clock.now:
        text = "The last bar has not closed yet; its numbers may still change."
        warnings.append(Fault(f"/row/{len(raw)}", "unfinished_bar", text))
    return warnings
