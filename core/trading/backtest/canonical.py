"""Canonical JSON (RFC 8785) of long tables, column by column.

`rfc8785.dumps` walks every value of every row in Python, a second for a large result. Tables
are written here by column and put into their place in the document; the bytes are the same.
"""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import rfc8785

_Column = Sequence[Any]
_TEXT = pa.large_string()
_LEAST_ALIKE, _FIRST_UNLIKE = 1e-4, 1e10  # between them Arrow writes a number as JavaScript does
_quoted = json.JSONEncoder(ensure_ascii=False).encode


def dump_document(document: Mapping[str, Any], tables: Mapping[str, bytes]) -> bytes:
    """Answer the canonical bytes of the document with its tables.

    `tables`: by top-level key, lines as `dump_lines` answers; each becomes a list of objects.
    Keys are ASCII.
    """
    parts = {key: rfc8785.dumps(value) for key, value in document.items()}
    parts |= {key: b"[" + lines.replace(b"\n", b",") + b"]" for key, lines in tables.items()}
    members = (json.dumps(key).encode() + b":" + parts[key] for key in sorted(parts))
    return b"{" + b",".join(members) + b"}"


def dump_lines(columns: Mapping[str, _Column]) -> bytes:
    """Answer the canonical bytes of a table's rows as objects, one a line; no row holds a newline.

    `columns`: by name (ASCII), at least one and all of one length; values are str, int, float
    (NaN and None are null).
    """
    names = sorted(columns)
    if not columns[names[0]]:
        return b""
    pieces: list[Any] = []
    for name in names:
        before = "," if pieces else "{"
        pieces += [pa.scalar(f"{before}{json.dumps(name)}:", _TEXT), _texts(columns[name])]
    rows = pc.binary_join_element_wise(*pieces, pa.scalar("}\n", _TEXT), pa.scalar("", _TEXT))
    lines: bytes = rows.buffers()[2].to_pybytes()
    return lines.removesuffix(b"\n")


def _texts(values: _Column) -> pa.Array:
    """Answer each value's canonical text; equal strings are written once."""
    column = pa.array(values)
    if isinstance(values[0], str):
        known = column.dictionary_encode()
        return pa.array(map(_quoted, known.dictionary.to_pylist()), _TEXT).take(known.indices)
    texts = column.cast(_TEXT)
    if pa.types.is_integer(column.type):
        return texts
    numbers = column.cast(pa.float64()).to_numpy(zero_copy_only=False)
    size = np.abs(numbers)
    strange = ~((size >= _LEAST_ALIKE) & (size < _FIRST_UNLIKE))
    strange &= (size != 0.0) | np.signbit(numbers)
    written = [_as_ecmascript(number) for number in numbers[strange].tolist()]
    return pc.replace_with_mask(texts, strange, pa.array(written, _TEXT))


def _as_ecmascript(number: float) -> str:
    return rfc8785.dumps(number).decode() if math.isfinite(number) else "null"
