"""Requests that gunicorn cannot read, refused with problem documents like all others."""

import json
import secrets
import socket
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from core.logging import bind, unbind_all, what_is_bound
from web.api.problems import CONTENT_TYPE, problem_of

_NO_HTTP = (
    "This is no request of HTTP/1.1. Look at its first line, at the fields of its header and, "
    "where its body comes in pieces, at these."
)


def named(handle_error: Callable[..., None]) -> Callable[..., None]:
    """Give what gunicorn could not read a request id, before it logs and answers the error."""

    def handle(request: Any, *rest: Any) -> None:
        if request is None:
            # What is bound is of the request before, on the same connection.
            unbind_all()
            bind(request_id=secrets.token_hex(8))
        handle_error(request, *rest)

    return handle


def refuse_unread(connection: socket.socket, status_int: int, _reason: str, _message: str) -> None:
    """Answer an error in place of gunicorn's page of HTML; the connection ends with it."""
    status = HTTPStatus(status_int)
    problem = problem_of(status)
    if status is HTTPStatus.BAD_REQUEST:
        problem["detail"] = _NO_HTTP
    body = json.dumps(problem).encode()
    head = (
        f"HTTP/1.1 {int(status)} {status.phrase}\r\nConnection: close\r\n"
        f"X-Request-ID: {what_is_bound().get('request_id', '')}\r\n"
        f"Content-Type: {CONTENT_TYPE}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    connection.sendall(head.encode() + body)
