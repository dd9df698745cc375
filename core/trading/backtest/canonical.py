"""Canonical JSON (RFC 8785) of long tables, column by column.

`rfc8785.dumps` walks every value of every row in Python, a second for a large result. Tables
are written here by column and put into their place in the document; the bytes are the same.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain, repeat
from typing import Any

import numpy as np
import rfc8785
from numpy.typing import NDArray

_Column = Sequence[Any]
_SMALLEST_PLAIN, _FIRST_LARGE = 1e-4, 1e16  # Python writes an exponent outside of them
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
    rows = len(columns[names[0]])
    pieces: list[Iterable[str]] = []
    for name in names:
        before = "," if pieces else "\n{"
        pieces += [repeat(f"{before}{json.dumps(name)}:", rows), dump_column(columns[name])]
    pieces.append(repeat("}", rows))
    return "".join(chain.from_iterable(zip(*pieces, strict=True))).removeprefix("\n").encode()


def dump_column(values: _Column) -> list[str]:
    """Answer each value's canonical text; equal strings are written once."""
    if not values:
        return []
    if isinstance(values[0], str):
        known = {text: _quoted(text) for text in set(values)}
        return [known[text] for text in values]
    texts = json.dumps(list(values))[1:-1].split(", ")
    for place in _unlike_ecmascript(np.asarray(values)):
        texts[place] = _as_ecmascript(texts[place])
    return texts


def _unlike_ecmascript(numbers: NDArray[Any]) -> list[int]:
    """Answer where Python may write a number otherwise: whole, with an exponent, or none."""
    if numbers.dtype.kind == "i":
        return []
    numbers = numbers.astype(np.float64)
    size = np.abs(numbers)
    alike = (size >= _SMALLEST_PLAIN) & (size < _FIRST_LARGE) & (numbers != np.floor(numbers))
    places: list[int] = np.flatnonzero(~alike).tolist()
    return places


def _as_ecmascript(text: str) -> str:
    """Answer a number that Python wrote as JavaScript would; null where it is none."""
    if text[-1] > "9":
        return "null"
    if "e" in text:
        return rfc8785.dumps(float(text)).decode()
    return "0" if text == "-0.0" else text.removesuffix(".0")
