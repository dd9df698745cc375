"""Canonical JSON (RFC 8785) of long tables, column by column.

`rfc8785.dumps` walks every value of every row in Python, a second for a large result. Tables
are written here by column and put into their place in the document; the bytes are the same.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import rfc8785

_Column = Sequence[Any]
_quoted = json.JSONEncoder(ensure_ascii=False).encode


def dump_document(
    document: Mapping[str, Any], tables: Mapping[str, Mapping[str, _Column]]
) -> bytes:
    """Answer the canonical bytes of the document with its tables.

    `tables`: by top-level key, columns by name, all of one length; each becomes a list of
    objects. Values are str, int, float (NaN and None are null); keys are ASCII.
    """
    parts = {key: rfc8785.dumps(value) for key, value in document.items()}
    parts |= {key: dump_table(columns) for key, columns in tables.items()}
    members = (json.dumps(key).encode() + b":" + parts[key] for key in sorted(parts))
    return b"{" + b",".join(members) + b"}"


def dump_table(columns: Mapping[str, _Column]) -> bytes:
    """Answer the canonical bytes of a list of objects given by column."""
    names = sorted(columns)
    pattern = "{" + ",".join(f"{json.dumps(name)}:%s" for name in names) + "}"
    texts = [dump_column(columns[name]) for name in names]
    rows = ",".join([pattern % row for row in zip(*texts, strict=True)])
    return f"[{rows}]".encode()


def dump_column(values: _Column) -> list[str]:
    """Answer each value's canonical text; equal strings are written once."""
    if not values:
        return []
    if isinstance(values[0], str):
        known = {text: _quoted(text) for text in set(values)}
        return [known[text] for text in values]
    return [_as_ecmascript(text) for text in json.dumps(list(values))[1:-1].split(", ")]


def _as_ecmascript(text: str) -> str:
    """Answer a number that Python wrote as JavaScript would; null where it is none."""
    if text[-1] > "9":
        return "null"
    if "e" in text:
        return rfc8785.dumps(float(text)).decode()
    return "0" if text == "-0.0" else text.removesuffix(".0")
