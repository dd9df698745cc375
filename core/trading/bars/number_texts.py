"""Numbers that are written as text, a batch at a time."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from core.trading.bars.series import FloatArray, IntArray

_NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,4})?$"
_INFINITY = r"^(?i)[+-]?(inf|infinity)$"
_NOTHING = ("", "nan", "na", "n/a", "null", "none", "-nan", "#n/a")


def parse_numbers(texts: pa.StringArray) -> tuple[FloatArray, IntArray]:
    """Read a batch of texts as numbers.

    Answers the values, float64[n], NaN where there is none (an empty text, `nan`, `null`), and
    the indexes of texts that are neither a number nor one of these. A decimal point only:
    `1,5` and `1,234.5` could each mean two things.
    """
    try:
        return _values(pc.cast(texts, pa.float64())), np.empty(0, np.int64)
    except pa.ArrowInvalid:
        pass
    trimmed = pc.ascii_trim_whitespace(texts)
    number = pc.match_substring_regex(trimmed, _NUMBER)
    infinite = pc.match_substring_regex(trimmed, _INFINITY)
    readable = pc.or_(number, infinite)
    nothing = pc.is_in(pc.ascii_lower(trimmed), value_set=pa.array(_NOTHING))
    unreadable = pc.invert(pc.or_(readable, nothing))
    kept = pc.if_else(readable, trimmed, pa.scalar(None, pa.string()))
    bad = np.flatnonzero(unreadable.to_numpy(zero_copy_only=False)).astype(np.int64)
    try:
        return _values(pc.cast(kept, pa.float64())), bad
    except pa.ArrowInvalid:
        singly = [np.nan if text is None else float(text) for text in kept.to_pylist()]
        return np.array(singly, dtype=np.float64), bad


def _values(column: pa.DoubleArray) -> FloatArray:
    values: FloatArray = column.to_numpy(zero_copy_only=False)
    return values
