import socket
from collections.abc import Iterator

import pytest

from web.api.connections import Connection


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def test_a_client_that_closed_is_gone_and_one_that_listens_is_not(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    ours, theirs = pair
    ours.settimeout(7)
    connection = Connection(ours)
    assert not connection.is_gone()
    theirs.close()
    assert connection.is_gone()
    assert ours.gettimeout() == 7
    ours.close()
    assert connection.is_gone()


def test_a_client_that_still_says_something_is_not_gone_and_is_heard(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    ours, theirs = pair
    theirs.sendall(b"x")
    assert not Connection(ours).is_gone()
    assert ours.recv(2) == b"x"


def test_what_is_cut_ends_for_the_client(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair
    connection = Connection(ours)
    connection.cut()
    assert theirs.recv(1) == b""
    assert connection.is_gone()
    ours.close()
    connection.cut()


def test_of_a_connection_that_is_not_shown_nothing_is_known() -> None:
    connection = Connection(None)
    connection.cut()
    assert not connection.is_gone()
