"""What bars are by content: their hash, and the Parquet form in which they are kept.

Canonical bytes, version 1: `neozork-bars/1`, a newline, the timeframe's label, a newline; then
little-endian int64 n and label offset; then the columns stamps (int64[n]), open, high, low,
close, volume (float64[n] each), without padding. The symbol is not part: the same bars under
another name are the same bars.
"""

import hashlib
import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from core.errors import InvalidInputError
from core.trading.bars.header import NUMBERS
from core.trading.bars.series import Bars
from core.trading.bars.timeframes import Timeframe

_MAGIC = b"neozork-bars/1\n"
_TIMEFRAME = b"neozork.timeframe"
_LABEL_OFFSET = b"neozork.label_offset"
_ROWS_PER_GROUP = 1 << 20


class StoredBarsError(InvalidInputError):
    """Raised when stored bars are gone, damaged, or not those that were asked for."""

    code = "corrupt_bars"
    title = "The stored bars cannot be used"


def data_hash(bars: Bars) -> str:
    """Answer the SHA-256 of the canonical bytes, in hex."""
    digest = hashlib.sha256(_MAGIC + bars.timeframe.label.encode() + b"\n")
    digest.update(np.array([len(bars), bars.label_offset], dtype="<i8").tobytes())
    digest.update(np.ascontiguousarray(bars.stamps, dtype="<i8").data)
    for name in NUMBERS:
        digest.update(np.ascontiguousarray(getattr(bars, name), dtype="<f8").data)
    return digest.hexdigest()


def to_table(bars: Bars) -> pa.Table:
    """Answer the columns as an Arrow table, timeframe and label offset in its metadata."""
    schema = pa.schema(
        [pa.field("stamp", pa.int64(), nullable=False)]
        + [pa.field(name, pa.float64(), nullable=False) for name in NUMBERS],
        metadata={
            _TIMEFRAME: bars.timeframe.label.encode(),
            _LABEL_OFFSET: str(bars.label_offset).encode(),
        },
    )
    columns = [pa.array(bars.stamps)] + [pa.array(getattr(bars, name)) for name in NUMBERS]
    return pa.Table.from_arrays(columns, schema=schema)


def described_by(schema: pa.Schema) -> tuple[Timeframe, int]:
    """Answer timeframe and label offset of a table that `to_table` made; KeyError of another."""
    metadata = schema.metadata or {}
    timeframe = Timeframe.named(metadata[_TIMEFRAME].decode())
    if timeframe is None or schema.names != ["stamp", *NUMBERS]:
        raise KeyError("not a table of bars")
    return timeframe, int(metadata[_LABEL_OFFSET])


def write_parquet(bars: Bars) -> bytes:
    """Answer the bars as Parquet; the same bars give the same bytes under one pyarrow version."""
    sink = io.BytesIO()
    pq.write_table(
        to_table(bars),
        sink,
        compression="zstd",
        use_dictionary=False,
        column_encoding={"stamp": "DELTA_BINARY_PACKED"}
        | dict.fromkeys(NUMBERS, "BYTE_STREAM_SPLIT"),
        row_group_size=_ROWS_PER_GROUP,
        store_schema=True,
    )
    return sink.getvalue()


def read_parquet_bars(data: bytes, *, symbol: str, expected_hash: str | None = None) -> Bars:
    """Answer bars from what `write_parquet` made, columns C-contiguous and writable.

    Raises StoredBarsError, code `corrupt_bars`, where the bytes are damaged or are not the
    bars of `expected_hash`. For customers' own Parquet there is `read_bars`.
    """
    try:
        table = pq.read_table(pa.BufferReader(data), use_threads=False)
        timeframe, label_offset = described_by(table.schema)
    except (pa.ArrowException, OSError, KeyError, ValueError) as error:
        raise StoredBarsError("The stored bars are damaged.") from error
    bars = Bars(
        symbol=symbol,
        timeframe=timeframe,
        stamps=np.array(table["stamp"].to_numpy(), dtype=np.int64),
        label_offset=label_offset,
        **{name: np.array(table[name].to_numpy(), dtype=np.float64) for name in NUMBERS},
    )
    if expected_hash is not None and data_hash(bars) != expected_hash:
        raise StoredBarsError("The stored bars are not those asked for.")
    return bars
