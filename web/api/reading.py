"""How requests are read: JSON that can be kept, and no argument that is not known."""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any, ClassVar, NoReturn

import flask_smorest
import marshmallow
from flask import Request
from webargs import core as webargs
from webargs.flaskparser import FlaskParser, is_json_request
from werkzeug.datastructures import CombinedMultiDict
from werkzeug.exceptions import ClientDisconnected, UnsupportedMediaType

from core.errors import Fault, InvalidInputError

_MOST_DIGITS = 400
# What Postgres takes neither in text nor in JSON: NUL, and half of a surrogate pair.
_UNKEPT = re.compile("[\0\ud800-\udfff]")
_UNKEPT_ESCAPE = re.compile(r"\\u(?:0000|[dD][89a-fA-F])")
_PARTS = {"query": ("args",), "upload": ("form", "files")}


class StrictParser(FlaskParser):
    """webargs' parser, for which each schema says itself what becomes of unknown keys.

    Its location `upload` is a form with files in it.
    """

    __location_map__ = FlaskParser.__location_map__ | {"upload": "load_upload"}

    def load_json(self, req: Request, schema: marshmallow.Schema) -> Any:
        """Answer the body's JSON, webargs' `missing` for none; UnsupportedMediaType for others.

        One that was cut raises ClientDisconnected, even where what came is JSON.
        """
        del schema
        body = req.get_data(cache=True)
        if len(body) < (req.content_length or 0):
            raise ClientDisconnected
        if not body:
            return webargs.missing
        if not is_json_request(req):
            raise UnsupportedMediaType
        return read_json(body)

    def load_upload(self, req: Request, schema: marshmallow.Schema) -> Any:
        """Answer a form's fields and files together; one that was cut in the middle raises."""
        sent: CombinedMultiDict[str, Any] = CombinedMultiDict([req.form, req.files])
        return self._makeproxy(sent, schema)

    def pre_load(
        self, location_data: Any, *, schema: marshmallow.Schema, req: Request, location: str
    ) -> Any:
        """Refuse what a query or a form names twice, and texts that cannot be kept."""
        del schema
        sent: CombinedMultiDict[str, Any] = CombinedMultiDict(
            [getattr(req, part) for part in _PARTS.get(location, ())]
        )
        _refuse_any([fault for key, values in sent.lists() for fault in _bad_pair(key, values)])
        return location_data


class Blueprint(flask_smorest.Blueprint):
    """A noun's routes, read strictly."""

    ARGUMENTS_PARSER = StrictParser(unknown=None)
    DEFAULT_LOCATION_CONTENT_TYPE_MAPPING: ClassVar[dict[str, str]] = {
        "json": "application/json",
        "upload": "multipart/form-data",
    }


def takes_query(view: Callable[..., Any]) -> bool:
    """Tell whether a schema reads a view's query."""
    arguments = getattr(view, "_apidoc", {}).get("arguments", {})
    return any(part["in"] == "query" for part in arguments.get("parameters", ()))


def refuse_query(req: Request) -> None:
    """Raise InvalidInputError naming every parameter of a query that nothing reads."""
    hint = "This address takes no query."
    _refuse_any(
        [Fault(pointer("", key), "unknown_key", "Unknown field.", hint) for key in req.args]
    )


def _bad_pair(key: str, values: list[Any]) -> Iterator[Fault]:
    path = pointer("", key)
    if len(values) > 1:
        message = f"{key[:40]!r} stands {len(values)} times."
        yield Fault(path, "duplicate_key", message, "Keep one of them.")
    if not all(_is_kept(text) for text in (key, *values) if isinstance(text, str)):
        yield _bad_text(path)


def _is_kept(text: str) -> bool:
    return not _UNKEPT.search(text)


def read_json(body: bytes) -> Any:
    """Answer what a body of JSON says.

    Raises InvalidInputError, code `malformed_json` for what is no JSON in UTF-8; with faults for
    what JSON allows and we do not: NaN, keys that stand twice, numbers and nesting without end,
    texts that cannot be kept.
    """
    try:
        text = body.decode("utf-8-sig")
        value = json.loads(
            text, object_pairs_hook=_object, parse_constant=_no_constant, parse_int=_integer
        )
    except UnicodeDecodeError as error:
        _malformed(f"byte {error.start} is not UTF-8")
    except json.JSONDecodeError as error:
        _malformed(f"{error.msg}, line {error.lineno}, column {error.colno}")
    except RecursionError:
        _refuse_any([Fault("", "too_deep", "The body is nested too deeply.")])
    if _UNKEPT_ESCAPE.search(text):
        refuse_unkept("", value)
    return value


def refuse_unkept(path: str, value: Any) -> None:
    """Raise InvalidInputError naming every text in a value at a path that cannot be stored."""
    _refuse_any([_bad_text(place) for place, text in _texts(path, value) if not _is_kept(text)])


def pointer(path: str, key: object) -> str:
    """Answer the JSON pointer of a key below a path, RFC 6901."""
    return f"{path}/{str(key).replace('~', '~0').replace('/', '~1')}"


def _texts(path: str, value: Any) -> Iterator[tuple[str, str]]:
    waiting = [(path, value)]
    while waiting:
        place, node = waiting.pop()
        if isinstance(node, str):
            yield place, node
        elif isinstance(node, dict):
            yield from ((place, key) for key in node)
            waiting += [(pointer(place, key), inner) for key, inner in node.items()]
        elif isinstance(node, list):
            waiting += [(pointer(place, index), inner) for index, inner in enumerate(node)]


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    mapping: dict[str, Any] = {}
    for key, value in pairs:
        if key in mapping:
            message = f"The key {key[:40]!r} stands twice in one object."
            _refuse_any([Fault("", "duplicate_key", message, "Keep one of them.")])
        mapping[key] = value
    return mapping


def _no_constant(constant: str) -> NoReturn:
    message = f"{constant} is no number of JSON."
    raise _refusal([Fault("", "type", message, "Write a finite number.")])


def _integer(digits: str) -> int:
    if len(digits) > _MOST_DIGITS:
        message = f"{digits[:20]}… is too large."
        _refuse_any([Fault("", "out_of_range", message, "Write a smaller number.")])
    return int(digits)


def _bad_text(path: str) -> Fault:
    message = "The text holds NUL, or half of a surrogate pair."
    return Fault(path, "bad_text", message, "Send plain Unicode text.")


def _refuse_any(faults: list[Fault]) -> None:
    if faults:
        raise _refusal(faults)


def _refusal(faults: list[Fault]) -> InvalidInputError:
    return InvalidInputError(
        "The request does not fit. Each entry of `errors` says where and what.", errors=faults
    )


def _malformed(why: str) -> NoReturn:
    raise InvalidInputError(f"The body is no JSON: {why}.", code="malformed_json")
