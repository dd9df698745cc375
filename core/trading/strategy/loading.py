"""Strategy documents as text: YAML 1.2 or JSON in, plain dicts, lists and scalars out.

YAML is read from ruamel.yaml's events, so that nothing is resolved by surprise: plain scalars
follow YAML 1.2's core schema (https://yaml.org/spec/1.2.2/#103-core-schema), where `on` is a
name and `16:00` a text, and anchors, aliases, tags and duplicate keys are refused.
"""

import json
import math
import re
from collections.abc import Iterator
from typing import Any, NoReturn

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
)

from core.errors import Fault, InvalidInputError
from core.trading.strategy.findings import pointer

MAX_BYTES = 65_536
MAX_NESTING = 20

_INTEGER = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", re.ASCII)
_REAL = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", re.ASCII)
_UNBOUNDED = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)", re.ASCII)
_CONSTANTS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_MOST_DIGITS = 400

Keys = tuple[str | int, ...]


def parse_document(text: str | bytes) -> dict[str, Any]:
    """Read a strategy document, YAML 1.2 or JSON, of at most 65,536 bytes of UTF-8.

    Raises InvalidInputError with codes too_long, too_deep, syntax, type and not_allowed.
    """
    decoded = _decoded(text)
    document = _from_json(decoded) if decoded.lstrip().startswith("{") else None
    if document is None:
        document = _from_yaml(decoded)
    try:
        json.dumps(document, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        _refuse((), "syntax", "It holds half of a surrogate pair.", "Save the file as UTF-8.")
    if not isinstance(document, dict):
        _refuse((), "type", "A strategy is a mapping of keys to values.", "Begin with `spec:`.")
    return document


def _refuse(keys: Keys, code: str, message: str, hint: str = "") -> NoReturn:
    fault = Fault(pointer(*keys), code, message, hint)
    raise InvalidInputError("The strategy cannot be read.", errors=[fault])


def _decoded(text: str | bytes) -> str:
    try:
        raw = text if isinstance(text, bytes) else text.encode()
        if len(raw) > MAX_BYTES:
            _refuse((), "too_long", f"It has {len(raw)} bytes; {MAX_BYTES} are the most.")
        return raw.decode("utf-8-sig")
    except UnicodeError:
        _refuse((), "syntax", "It is not UTF-8 text.", "Save the file as UTF-8.")


def _from_json(text: str) -> Any:
    """Read JSON; None where it is not JSON (YAML's flow style begins alike)."""
    try:
        document = json.loads(
            text,
            object_pairs_hook=_object,
            parse_constant=_refuse_constant,
            parse_float=_real,
            parse_int=_integer,
        )
    except json.JSONDecodeError:
        return None
    except RecursionError:
        _refuse((), "too_deep", f"It is nested more than {MAX_NESTING} levels deep.")
    _refuse_deep(document)
    return document


def _refuse_deep(document: Any) -> None:
    level, depth = [document], 0
    while level:
        if depth > MAX_NESTING:
            _refuse((), "too_deep", f"It is nested more than {MAX_NESTING} levels deep.")
        level = [child for node in level for child in _inside(node)]
        depth += 1


def _inside(node: Any) -> list[Any]:
    if isinstance(node, dict):
        return list(node.values())
    return node if isinstance(node, list) else []


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    mapping: dict[str, Any] = {}
    for key, value in pairs:
        if key in mapping:
            _refuse((key,), "syntax", f"The key {key[:40]!r} stands twice.", "Keep one of them.")
        mapping[key] = value
    return mapping


def _refuse_constant(constant: str) -> NoReturn:
    _refuse((), "type", f"{constant} is no number.", "Write a finite number.")


def _real(digits: str, keys: Keys = ()) -> float:
    value = float(digits)
    if not math.isfinite(value):
        _refuse(keys, "out_of_range", f"{digits[:20]} is too large.", "Write a smaller number.")
    return value


def _integer(digits: str, keys: Keys = ()) -> int:
    if len(digits) > _MOST_DIGITS:
        _refuse(keys, "out_of_range", f"{digits[:20]}… is too large.", "Write a smaller number.")
    return int(digits, 0) if digits[:2] in {"0o", "0x"} else int(digits)


def _from_yaml(text: str) -> Any:
    yaml = YAML(typ="safe", pure=True)
    try:
        events = iter(yaml.parse(text))
        document = _read_stream(events)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        _refuse((), "syntax", f"Not YAML: {where}{error.problem or error.context}.")
    except (YAMLError, ValueError) as error:
        _refuse((), "syntax", f"Not YAML: {error}.")
    except RecursionError:
        _refuse((), "too_deep", f"It is nested more than {MAX_NESTING} levels deep.")
    return document


def _read_stream(events: Iterator[Any]) -> Any:
    next(events)
    start = next(events)
    if isinstance(start, StreamEndEvent):
        _refuse((), "syntax", "The document is empty.", "Begin with `spec: strategy/1`.")
    _refuse_directives(start)
    document = _read(next(events), events, ())
    next(events)
    if not isinstance(next(events), StreamEndEvent):
        _refuse((), "syntax", "More than one document stands here.", "Send one at a time.")
    return document


def _refuse_directives(start: DocumentStartEvent) -> None:
    if start.version or start.tags:
        _refuse((), "not_allowed", "Directives are not part of the language.", "Leave out `%…`.")


def _read(event: Any, events: Iterator[Any], keys: Keys) -> Any:
    if len(keys) > MAX_NESTING:
        _refuse(keys, "too_deep", f"It is nested more than {MAX_NESTING} levels deep.")
    if isinstance(event, AliasEvent) or event.anchor:
        _refuse(keys, "not_allowed", "Anchors and aliases are not allowed.", "Write it out.")
    if event.ctag is not None:
        _refuse(keys, "not_allowed", "Tags are not allowed.", "Leave out what begins with `!`.")
    if isinstance(event, ScalarEvent):
        return _scalar(event, keys)
    if isinstance(event, SequenceStartEvent):
        return _sequence(events, keys)
    return _mapping(events, keys)


def _sequence(events: Iterator[Any], keys: Keys) -> list[Any]:
    items: list[Any] = []
    while not isinstance(event := next(events), SequenceEndEvent):
        items.append(_read(event, events, (*keys, len(items))))
    return items


def _mapping(events: Iterator[Any], keys: Keys) -> dict[str, Any]:
    mapping: dict[str, Any] = {}
    while not isinstance(event := next(events), MappingEndEvent):
        if isinstance(event, MappingStartEvent | SequenceStartEvent):
            _refuse(keys, "type", "A key is a list or a mapping.", "Keys are names.")
        key = _read(event, events, keys)
        if not isinstance(key, str):
            _refuse(keys, "type", f"The key {key!r} is not a text.", "Put it in quotes.")
        if key in mapping:
            hint = "Keep one of them."
            _refuse((*keys, key), "syntax", f"The key {key[:40]!r} stands twice.", hint)
        mapping[key] = _read(next(events), events, (*keys, key))
    return mapping


def _scalar(event: ScalarEvent, keys: Keys) -> Any:
    text: str = event.value
    if not event.implicit[0]:
        return text
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if _INTEGER.fullmatch(text):
        return _integer(text, keys)
    if _UNBOUNDED.fullmatch(text):
        _refuse(keys, "type", f"{text} is no number.", "Write a finite number.")
    return _real(text, keys) if _REAL.fullmatch(text) else text
