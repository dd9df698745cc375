"""Bars as Parquet: the same columns, times as timestamps, dates, texts or epoch numbers."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from core.trading.bars.columns import ColumnParts, RawColumns
from core.trading.bars.csv_file import add_too_many_rows
from core.trading.bars.faults import FileFaults
from core.trading.bars.header import MAX_COLUMNS, NUMBERS, Header, match_header
from core.trading.bars.limits import Limits
from core.trading.bars.series import FlagArray, FloatArray, IntArray
from core.trading.bars.time_texts import (
    END_MICROS,
    FIRST_MICROS,
    LONGEST_TIME,
    TimeForm,
    parse_times,
)
from core.trading.bars.timeframes import MICROSECONDS_PER_DAY

_DAMAGE = (pa.ArrowException, OSError, LookupError, ValueError, TypeError, ArithmeticError)
_BYTES_PER_ROW = 8 * 6
_BATCH_ROWS = 65_536
_PANDAS_INDEX = "__index_level_0__"
_PER_MICROSECOND = {"s": 1_000_000, "ms": 1_000, "us": 1}


def read_parquet(data: bytes, limits: Limits, faults: FileFaults) -> RawColumns | None:
    """Read the columns of a Parquet file; None where a fault of the whole prevents it.

    Rows and decompressed bytes of the columns that matter are refused by the file's own
    metadata first, then counted while batches are read, since metadata may lie. Texts are read
    as dictionaries: one long text repeated a million times stays one.
    """
    try:
        source = pa.BufferReader(data)
        schema = pq.read_schema(source)
        if len(schema.names) > MAX_COLUMNS:
            faults.add("/header", "unreadable", "The file has too many columns.")
            return None
        header = match_header(_names(schema), faults)
        _check_types(schema, header, faults)
        wanted = {means: schema.names[place] for means, place in header.positions.items()}
        texts = [name for name in wanted.values() if _is_text(schema.field(name).type)]
        file = pq.ParquetFile(source, read_dictionary=texts)
        fits = _fits(file.metadata, limits, faults, has_texts=bool(texts))
        if not fits or faults.whole:
            return None
        return _read(file, wanted, header, limits, faults)
    except _DAMAGE as error:
        kind = "damaged, cut off, or written in a way that is not supported"
        faults.add("", "unreadable", f"The Parquet file is {kind} ({type(error).__name__}).")
        return None


def _names(schema: pa.Schema) -> list[str]:
    """Answer the columns' names; an index of times without a name counts as `time`."""
    return [
        "time"
        if field.name == _PANDAS_INDEX and pa.types.is_temporal(field.type)
        else (field.name or f"column {place + 1}")
        for place, field in enumerate(schema)
    ]


def _is_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _check_types(schema: pa.Schema, header: Header, faults: FileFaults) -> None:
    for means, place in header.positions.items():
        kind = schema.field(place).type
        number = pa.types.is_integer(kind) or pa.types.is_floating(kind)
        if means == "time":
            stamp = pa.types.is_timestamp(kind) or pa.types.is_date(kind) or _is_text(kind)
            right, wanted = stamp or number, "a timestamp, a date, a text or epoch numbers"
        else:
            right, wanted = number or pa.types.is_decimal(kind), "numbers"
        if not right:
            message = f"Column {schema.names[place]!r} holds {kind}, not {wanted}."
            faults.add("/header", "type", message)
    if len(set(schema.names)) < len(schema.names):
        faults.add("/header", "duplicate_column", "Two columns have the same name.")


def _fits(
    metadata: pq.FileMetaData, limits: Limits, faults: FileFaults, *, has_texts: bool
) -> bool:
    """Compare the sizes that the metadata claim with the limits.

    Numbers take 8 bytes a row whatever is claimed; only texts can be longer, and where there are
    any, whole row groups count. pyarrow's metadata of a single column would be finer, but
    damaged ones end the process there (26.0: the C++ exception is not caught).
    """
    if metadata.num_rows > limits.max_rows:
        add_too_many_rows(limits, faults)
        return False
    unpacked = metadata.num_rows * _BYTES_PER_ROW
    if has_texts:
        groups = range(metadata.num_row_groups)
        unpacked = sum(max(metadata.row_group(group).total_byte_size, 0) for group in groups)
    if unpacked > limits.max_bytes:
        _add_too_large(limits, faults)
        return False
    return True


def _add_too_large(limits: Limits, faults: FileFaults) -> None:
    faults.add(
        "",
        "too_large",
        f"The columns take more than {limits.max_bytes:,} bytes once decompressed.",
        "Split the file by time.",
    )


def _read(
    file: pq.ParquetFile,
    wanted: dict[str, str],
    header: Header,
    limits: Limits,
    faults: FileFaults,
) -> RawColumns | None:
    parts = ColumnParts(name for name in NUMBERS if name in wanted)
    unpacked = 0
    batches = file.iter_batches(
        batch_size=_BATCH_ROWS, columns=list(wanted.values()), use_threads=False
    )
    for batch in batches:
        unpacked += batch.nbytes
        if unpacked > limits.max_bytes:
            _add_too_large(limits, faults)
            return None
        if parts.rows + len(batch) > limits.max_rows:
            add_too_many_rows(limits, faults)
            return None
        _add_batch(batch, wanted, parts, faults)
    return parts.build(header, midnights_are_dates=True)


def _add_batch(
    batch: pa.RecordBatch, wanted: dict[str, str], parts: ColumnParts, faults: FileFaults
) -> None:
    done = parts.rows
    micros, forms = _times(batch.column(wanted["time"]))
    parts.add_times(micros, forms)
    faults.add_rows(
        "bad_time",
        np.flatnonzero(forms == TimeForm.UNREADABLE) + done,
        "its time is missing, finer than a microsecond, or not one that can be read.",
    )
    for name in NUMBERS:
        if name in wanted:
            values, bad = _numbers(batch.column(wanted[name]))
            parts.add_numbers(name, values, bad)
            faults.add_rows(
                "type",
                bad + done,
                (f"its {name} is too large a whole number to be kept exactly."),
            )
    parts.finish_batch(len(batch))


def _numbers(column: pa.Array) -> tuple[FloatArray, IntArray]:
    """Answer float64[n], NaN for null, and the indexes of whole numbers that would be rounded."""
    none = np.empty(0, np.int64)
    if not pa.types.is_integer(column.type):
        values = pc.cast(column, pa.float64()).to_numpy(zero_copy_only=False)
        return values.astype(np.float64, copy=True), none
    values = pc.cast(column, pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    exact = np.abs(values) <= 2.0**53
    return values.astype(np.float64, copy=True), np.flatnonzero(~exact & ~np.isnan(values))


def _times(column: pa.Array) -> tuple[IntArray, FlagArray]:
    kind = column.type
    if pa.types.is_dictionary(kind):
        return _text_times(column)
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return parse_times(pc.fill_null(pc.cast(_whole(column), pa.string()), ""))
    present = pc.is_valid(column).to_numpy(zero_copy_only=False)
    if pa.types.is_date(kind):
        days = pc.cast(pc.cast(column, pa.date32()), pa.int32())
        raw = pc.fill_null(days, 0).to_numpy(zero_copy_only=False).astype(np.int64)
        return _scaled(raw, present, MICROSECONDS_PER_DAY, TimeForm.DATE)
    raw = pc.fill_null(pc.cast(column, pa.int64()), 0).to_numpy(zero_copy_only=False)
    form = TimeForm.OFFSET if kind.tz else TimeForm.LOCAL
    if kind.unit == "ns":
        return _scaled(raw // 1_000, present & (raw % 1_000 == 0), 1, form)
    return _scaled(raw, present, _PER_MICROSECOND[kind.unit], form)


def _scaled(
    raw: IntArray, present: NDArray[np.bool_], scale: int, form: TimeForm
) -> tuple[IntArray, FlagArray]:
    """Answer raw times in microseconds; those that no calendar of ours has are unreadable."""
    good = present & (raw >= FIRST_MICROS // scale) & (raw < END_MICROS // scale)
    forms = np.where(good, np.int8(form), np.int8(TimeForm.UNREADABLE)).astype(np.int8)
    return np.where(good, raw, 0) * scale, forms


def _whole(column: pa.Array) -> pa.Array:
    """Answer floats as whole numbers where they are, so that they are written without 1e+09."""
    if not pa.types.is_floating(column.type):
        return column
    values = pc.cast(column, pa.float64())
    whole = pc.and_(pc.equal(pc.floor(values), values), pc.less(pc.abs(values), 9e18))
    return pc.cast(pc.if_else(whole, values, pa.scalar(None, pa.float64())), pa.int64())


def _text_times(column: pa.DictionaryArray) -> tuple[IntArray, FlagArray]:
    """Read the dictionary once and look the rows up in it."""
    texts = column.dictionary
    short = pc.less_equal(pc.binary_length(texts), LONGEST_TIME)
    micros, forms = parse_times(pc.cast(pc.if_else(short, texts, ""), pa.string()))
    rows = pc.fill_null(column.indices, -1).to_numpy(zero_copy_only=False)
    micros, forms = np.append(micros, 0), np.append(forms, np.int8(TimeForm.UNREADABLE))
    return micros[rows], forms[rows]
