"""The series of a run, kept as Arrow columns."""

import hashlib

import pyarrow as pa

from core.trading.bars.series import FloatArray, IntArray


def write_series(columns: dict[str, FloatArray | IntArray]) -> bytes:
    """Answer the columns, all of one length, as an Arrow IPC file without metadata."""
    table = pa.table({name: pa.array(values) for name, values in columns.items()})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    stored: bytes = sink.getvalue().to_pybytes()
    return stored


def read_series(data: bytes) -> dict[str, FloatArray | IntArray]:
    """Answer the columns of an Arrow IPC file that `write_series` made."""
    table = pa.ipc.open_file(pa.BufferReader(data)).read_all()
    return {name: table.column(name).to_numpy() for name in table.column_names}


def series_hash(data: bytes) -> str:
    """Answer the SHA-256, in hex, of the stored series."""
    return hashlib.sha256(data).hexdigest()
