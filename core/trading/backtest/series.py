"""The series of a run: as Arrow columns to keep, and thinned out to draw."""

import hashlib

import numpy as np
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


def running_drawdown(equity: FloatArray, cash: float) -> FloatArray:
    """Answer float64[m]: the fall from the peak so far as a fraction of it, 0 or negative."""
    peaks = np.maximum(np.maximum.accumulate(equity), cash)
    answer: FloatArray = equity / peaks - 1.0
    return answer


def downsample(values: FloatArray, points: int) -> IntArray:
    """Answer the indices of at most `points` values that draw the same picture, ascending.

    The series is cut into equal stretches; of each its lowest and highest value stay, and of
    all the first and the last: no fall and no peak disappears. `points` is at least 4.
    """
    n = len(values)
    if n <= points:
        return np.arange(n)
    stretches = (points - 2) // 2
    edges = np.linspace(0, n, stretches + 1).astype(np.int64)
    kept = {0, n - 1}
    for start, stop in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        part = values[start:stop]
        kept.update((start + int(part.argmin()), start + int(part.argmax())))
    return np.array(sorted(kept), dtype=np.int64)
