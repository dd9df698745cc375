"""What cannot be read as a request, over a real connection."""

import http.client
import json
import re
import socket
from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.serving import HOST, a_free_port, web

LIVE = "/api/v1/health/live"
LONGEST = 4_094 - len("GET  HTTP/1.1")


@pytest.fixture(scope="module")
def port(database: str) -> Iterator[int]:
    assert database
    port = a_free_port()
    with web(port):
        yield port


Answered = tuple[int, http.client.HTTPMessage, bytes]


def answered(port: int, request: bytes) -> Answered:
    with socket.create_connection((HOST, port), 60) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        with closing(http.client.HTTPResponse(connection)) as answer:
            answer.begin()
            return answer.status, answer.headers, answer.read()


def asking(path: str, *fields: str) -> bytes:
    return "\r\n".join([f"GET {path} HTTP/1.1", "Host: x", *fields, "", ""]).encode()


def sending(how_long: str, body: str) -> bytes:
    fields = "Host: x", "Content-Type: application/json", how_long
    return "\r\n".join(["POST /api/v1/tenants HTTP/1.1", *fields, "", body]).encode()


@pytest.mark.parametrize(
    ("request_", "status", "code"),
    [
        (asking(f"{LIVE}?".ljust(LONGEST + 1, "x")), 414, "uri_too_long"),
        (asking(LIVE, "X-Long: " + "x" * 8_190), 431, "request_header_fields_too_large"),
        (asking(LIVE, *(f"X-{n}: x" for n in range(100))), 431, "request_header_fields_too_large"),
        (b"nonsense\r\n\r\n", 400, "bad_request"),
        (asking(LIVE, "no field"), 400, "bad_request"),
        (asking(LIVE, "Transfer-Encoding: nonsense"), 501, "not_implemented"),
        (sending("Transfer-Encoding: chunked", "zz\r\n{}\r\n0\r\n\r\n"), 400, "bad_request"),
        (sending("Transfer-Encoding: chunked", "2\r\n{}xx\r\n0\r\n\r\n"), 400, "bad_request"),
        (sending("Content-Length: 9", "{}"), 400, "bad_request"),
    ],
)
def test_what_cannot_be_read_is_refused_with_a_problem(
    port: int, request_: bytes, status: int, code: str
) -> None:
    told, headers, body = answered(port, request_)
    problem = json.loads(body)
    assert (told, headers["Content-Type"]) == (status, "application/problem+json")
    assert re.fullmatch(r"[0-9a-f]{16}", headers["X-Request-ID"])
    assert problem.keys() == {"type", "title", "status", "code", "detail"}
    assert (problem["status"], problem["code"]) == (status, code)


@pytest.mark.parametrize(
    ("request_", "detail"),
    [
        (b"GET /\r\n\r\n", "This is no request of HTTP/1.1."),
        (b"\x16\x03\x01\x02\x00\x01\r\n\r\n", "This is no request of HTTP/1.1."),
        (b"GET / HTTP/3.0\r\n\r\n", "This is no request of HTTP/1.1."),
        (asking(LIVE, "no field"), "This is no request of HTTP/1.1."),
        (asking(LIVE, "Transfer-Encoding: nonsense"), "The body is encoded in a way"),
        (asking(LIVE, "Expect: nonsense"), "Of the header Expect we know"),
        (sending("Content-Length: 9", "{}"), "The request cannot be read. Is its body complete"),
    ],
)
def test_what_is_wrong_is_said(port: int, request_: bytes, detail: str) -> None:
    assert json.loads(answered(port, request_)[2])["detail"].startswith(detail)


def test_what_is_as_long_as_it_may_be_is_read(port: int) -> None:
    longest = asking(f"{LIVE}?".ljust(LONGEST, "x"), *(f"X-{n}: x" for n in range(99)))
    assert answered(port, longest)[0] == 204
