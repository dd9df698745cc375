"""Every error as an RFC 9457 problem document; the one place that knows HTTP's numbers for ours."""

import json
from dataclasses import replace
from http import HTTPStatus
from typing import Any

import marshmallow
import sentry_sdk
from flask import Flask, Response, request
from flask_smorest import Api
from gunicorn.http.errors import ParseException
from redis import RedisError
from werkzeug.exceptions import BadRequest, HTTPException

from core.errors import (
    ConflictError,
    Fault,
    ForbiddenError,
    InvalidInputError,
    NeozorkError,
    NotFoundError,
    QuotaExceededError,
    ThrottledError,
    TooLargeError,
    UnauthenticatedError,
    UnavailableError,
)
from core.logging import get_logger
from web.api.reading import pointer

CONTENT_TYPE = "application/problem+json"
RETRY_AFTER_S = 2
log = get_logger(__name__)

_STATUS: dict[type[NeozorkError], HTTPStatus] = {
    InvalidInputError: HTTPStatus.UNPROCESSABLE_ENTITY,
    UnauthenticatedError: HTTPStatus.UNAUTHORIZED,
    ForbiddenError: HTTPStatus.FORBIDDEN,
    NotFoundError: HTTPStatus.NOT_FOUND,
    ConflictError: HTTPStatus.CONFLICT,
    QuotaExceededError: HTTPStatus.PAYMENT_REQUIRED,
    ThrottledError: HTTPStatus.TOO_MANY_REQUESTS,
    TooLargeError: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    UnavailableError: HTTPStatus.SERVICE_UNAVAILABLE,
}
# Codes whose status is not that of their branch.
_STATUS_BY_CODE = {
    "tenant_not_specified": HTTPStatus.BAD_REQUEST,
    "malformed_json": HTTPStatus.BAD_REQUEST,
    "incomplete_upload": HTTPStatus.BAD_REQUEST,
}


class ProblemSchema(marshmallow.Schema):
    """A problem document, as OpenAPI shows it."""

    type = marshmallow.fields.String(required=True)
    title = marshmallow.fields.String(required=True)
    status = marshmallow.fields.Integer(required=True)
    code = marshmallow.fields.String(required=True)
    detail = marshmallow.fields.String(required=True)
    errors = marshmallow.fields.List(marshmallow.fields.Dict())


class ProblemApi(Api):
    """flask-smorest's door, answering problem documents."""

    ERROR_SCHEMA = ProblemSchema

    def _register_responses(self) -> None:
        """Document errors under the content type that they have."""
        usual, self.DEFAULT_RESPONSE_CONTENT_TYPE = self.DEFAULT_RESPONSE_CONTENT_TYPE, CONTENT_TYPE
        super()._register_responses()
        self.DEFAULT_RESPONSE_CONTENT_TYPE = usual

    def handle_http_exception(self, error: HTTPException) -> Response:
        """Answer what werkzeug or webargs refused."""
        return _from_http(error)


def register_problems(app: Flask) -> None:
    """Turn every error that leaves a view into a problem document."""
    app.register_error_handler(NeozorkError, problem_response)
    app.register_error_handler(RedisError, _valkey_away)
    app.register_error_handler(Exception, _unexpected)


def status_of(error: NeozorkError) -> HTTPStatus:
    """Answer the HTTP status of one of our errors."""
    if error.instance_code in _STATUS_BY_CODE:
        return _STATUS_BY_CODE[error.instance_code]
    for branch in type(error).__mro__:
        if branch in _STATUS:
            return _STATUS[branch]
    return HTTPStatus.INTERNAL_SERVER_ERROR


def problem_response(error: NeozorkError) -> Response:
    """Answer one of our errors."""
    status = status_of(error)
    if status is HTTPStatus.INTERNAL_SERVER_ERROR:
        log.error("request_failed", code=error.instance_code, detail=error.detail)
        return _internal()
    headers = {}
    if error.retry_after_s is not None:
        headers["Retry-After"] = str(error.retry_after_s)
    elif isinstance(error, UnavailableError):
        headers["Retry-After"] = str(RETRY_AFTER_S)
    elif isinstance(error, UnauthenticatedError):
        headers["WWW-Authenticate"] = 'Bearer realm="neozork"'
    return _response(error.problem(), status, headers)


def _from_http(error: HTTPException) -> Response:
    data: dict[str, Any] = getattr(error, "data", None) or {}
    status = HTTPStatus(error.code or 500)
    if "messages" in data:
        return problem_response(
            InvalidInputError(
                "The request does not fit. Each entry of `errors` says where and what.",
                errors=_faults(data["messages"]),
            )
        )
    document = problem_of(status)
    if status is HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        document["limit_bytes"] = request.max_content_length
    headers = {}
    if status is HTTPStatus.METHOD_NOT_ALLOWED:
        headers["Allow"] = ", ".join(getattr(error, "valid_methods", None) or ())
    return _response(document, status, headers)


def problem_of(status: HTTPStatus) -> dict[str, Any]:
    """Answer the problem document of a status that comes from no error of ours."""
    code = _CODES.get(status, status.name.lower())
    return {
        "type": f"urn:neozork:problem:{code}",
        "title": _TITLES.get(status, status.phrase),
        "status": int(status),
        "code": code,
        "detail": _DETAILS.get(status, _OTHERWISE),
    }


# Where Python's name for it is another in newer versions, or says too much.
_CODES = {
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "request_entity_too_large",
    HTTPStatus.REQUEST_URI_TOO_LONG: "uri_too_long",
    HTTPStatus.INTERNAL_SERVER_ERROR: "internal",
}
_TITLES = {HTTPStatus.INTERNAL_SERVER_ERROR: "Something went wrong on our side"}
_OTHERWISE = "The request cannot be answered as it was sent. /api/v1/docs lists what can be asked."
_DETAILS = {
    HTTPStatus.METHOD_NOT_ALLOWED: "This address takes other methods; the header Allow lists them.",
    HTTPStatus.NOT_IMPLEMENTED: "The body is encoded in a way that we do not read. Send it as "
    "it is, or with Transfer-Encoding: chunked.",
    HTTPStatus.EXPECTATION_FAILED: "Of the header Expect we know 100-continue alone.",
    HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE: "The file has no such range. Ask for all of it.",
    HTTPStatus.NOT_FOUND: "There is nothing at this address. /api/v1/docs lists what there is.",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "Send JSON with the header Content-Type: application/json.",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "The request is larger than this route takes.",
    HTTPStatus.BAD_REQUEST: "The request cannot be read. Is its body complete, and JSON where "
    "JSON is expected?",
    HTTPStatus.REQUEST_URI_TOO_LONG: "The address with its query makes the request's first line "
    "longer than 4,094 bytes. Send what is long in the body.",
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE: "The header has more than 100 fields, or one of "
    "more than 8,190 bytes.",
    HTTPStatus.INTERNAL_SERVER_ERROR: "We have been told. Try again; if it stays, send us the "
    "X-Request-ID of this answer.",
}


def _faults(messages: dict[str, Any]) -> list[Fault]:
    """Flatten marshmallow's nested messages into faults with JSON pointers."""
    faults: list[Fault] = []

    def walk(path: str, found: Any) -> None:
        if isinstance(found, dict):
            for key, inner in found.items():
                walk(path if key == "_schema" else pointer(path, key), inner)
            return
        for message in found if isinstance(found, list) else [found]:
            if isinstance(message, Fault):
                faults.append(replace(message, path=path))
            else:
                code = _MARSHMALLOW_CODES.get(str(message), "invalid")
                faults.append(Fault(path, code, str(message)))

    for inner in messages.values():  # keyed by location: json, query, form, files
        walk("", inner)
    return faults


_MARSHMALLOW_CODES = {
    "Missing data for required field.": "required",
    "Unknown field.": "unknown_key",
    "Field may not be null.": "required",
    "Invalid input type.": "type",
    "Not a valid string.": "type",
    "Not a valid number.": "type",
    "Not a valid integer.": "type",
    "Not a valid boolean.": "type",
    "Not a valid UUID.": "type",
    "Not a valid list.": "type",
    "Not a valid mapping type.": "type",
    "Number too large.": "out_of_range",
    "Special numeric values (nan or infinity) are not permitted.": "out_of_range",
}


def _valkey_away(_error: RedisError) -> Response:
    return problem_response(UnavailableError("A service does not answer. Try again in a moment."))


def _unexpected(error: Exception) -> Response:
    if isinstance(error, ParseException):  # the pieces that a body is sent in
        return _from_http(BadRequest())
    if isinstance(error, HTTPException):
        return _from_http(error)
    log.error("request_crashed", path=request.path, exc_info=error)
    sentry_sdk.capture_exception(error)
    return _internal()


def _internal() -> Response:
    status = HTTPStatus.INTERNAL_SERVER_ERROR
    return _response(problem_of(status), status, {})


def _response(document: dict[str, Any], status: HTTPStatus, headers: dict[str, str]) -> Response:
    body = json.dumps({**document, "status": int(status)})
    return Response(body, status=status, headers=headers, content_type=CONTENT_TYPE)
