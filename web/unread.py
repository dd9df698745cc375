"""Requests that gunicorn cannot read, refused with problem documents like all others."""

import json
import socket
from http import HTTPStatus

from web.api.problems import CONTENT_TYPE, problem_of


def refuse_unread(connection: socket.socket, status_int: int, _reason: str, _message: str) -> None:
    """Answer an error in place of gunicorn's page of HTML; the connection ends with it."""
    status = HTTPStatus(status_int)
    body = json.dumps(problem_of(status)).encode()
    head = (
        f"HTTP/1.1 {int(status)} {status.phrase}\r\nConnection: close\r\n"
        f"Content-Type: {CONTENT_TYPE}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    connection.sendall(head.encode() + body)
