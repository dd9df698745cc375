"""The proxy does to a connection what a network does, and says so to nobody."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from tests.peers.tcp_proxy import Direction, TcpProxy
from tests.programs import until

PATIENCE_S = 20


class Echo:
    """A server that answers what it hears, and remembers it."""

    def __init__(self) -> None:
        self.heard = b""
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = self._listener.getsockname()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._echo, args=[connection], daemon=True).start()

    def _echo(self, connection: socket.socket) -> None:
        with connection:
            while data := connection.recv(1_000):
                self.heard += data
                connection.sendall(data)

    def close(self) -> None:
        if self._listener.fileno() >= 0:
            self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
        self._thread.join()


@pytest.fixture
def echo() -> Iterator[Echo]:
    server = Echo()
    yield server
    server.close()


@pytest.fixture
def proxy(echo: Echo) -> Iterator[TcpProxy]:
    with TcpProxy(echo.address) as proxy:
        yield proxy


@contextmanager
def connected(proxy: TcpProxy) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=PATIENCE_S) as connection:
        yield connection


def said(connection: socket.socket, words: bytes) -> bytes:
    connection.sendall(words)
    return connection.recv(1_000)


def test_it_passes_on_both_ways(proxy: TcpProxy) -> None:
    with connected(proxy) as one, connected(proxy) as other:
        assert said(one, b"one") == b"one"
        assert said(other, b"other") == b"other"


@pytest.mark.parametrize("way", ["sent", "answered"])
def test_a_slow_way_is_late(proxy: TcpProxy, way: str) -> None:
    setattr(proxy, way, Direction(late_by_s=0.2))
    with connected(proxy) as connection:
        began = time.monotonic()
        assert said(connection, b"word") == b"word"
        assert time.monotonic() - began >= 0.2


def test_a_narrow_way_takes_its_time(proxy: TcpProxy) -> None:
    proxy.sent = Direction(bytes_per_s=1_000)
    with connected(proxy) as connection:
        began = time.monotonic()
        assert said(connection, b"w" * 200)
        assert time.monotonic() - began >= 0.2


def test_a_reset_breaks_what_is_open_and_not_what_comes(proxy: TcpProxy) -> None:
    with connected(proxy) as connection:
        assert said(connection, b"word") == b"word"
        proxy.reset_all()
        with pytest.raises(ConnectionResetError):
            connection.recv(1)
    with connected(proxy) as later:
        assert said(later, b"word") == b"word"


@pytest.mark.parametrize("way", ["sent", "answered"])
def test_a_half_open_connection_hears_nothing_again_and_no_end(
    proxy: TcpProxy, echo: Echo, way: str
) -> None:
    nowhere = Direction(swallows=True)
    setattr(proxy, way, nowhere)
    with connected(proxy) as connection:
        connection.sendall(b"word")
        until(lambda: nowhere.swallowed == len(b"word"), "the word to be swallowed")
        proxy.heal()
        connection.settimeout(0.3)
        with pytest.raises(TimeoutError):
            connection.recv(1)
    assert way == "answered" or echo.heard == b""
    with connected(proxy) as later:
        assert said(later, b"new") == b"new"


def test_one_that_refuses_resets_at_once(proxy: TcpProxy) -> None:
    proxy.refuses = True
    with pytest.raises(ConnectionResetError), connected(proxy) as connection:
        connection.recv(1)


def test_nobody_behind_it_is_a_reset(proxy: TcpProxy, echo: Echo) -> None:
    echo.close()
    with pytest.raises(ConnectionResetError), connected(proxy) as connection:
        connection.recv(1)


def test_its_upstream_may_move(proxy: TcpProxy) -> None:
    moved = Echo()
    proxy.upstream = moved.address
    with connected(proxy) as connection:
        assert said(connection, b"word") == moved.heard == b"word"
    moved.close()


def test_a_cut_behind_a_commit_loses_the_answer_and_not_the_commit(
    as_superuser: "psycopg.Connection[tuple[object, ...]]",
) -> None:
    as_superuser.execute("CREATE TABLE public.committed (word text)")
    info = as_superuser.info
    socket_path = Path(f"{info.host}/.s.PGSQL.{info.port}")
    with TcpProxy(socket_path) as proxy:
        through = {"host": "127.0.0.1", "port": proxy.port, "dbname": info.dbname}
        client = psycopg.connect(user=info.user, password=info.password, **through)
        client.execute("INSERT INTO public.committed VALUES ('once')")
        proxy.commits_to_cut = 1
        with pytest.raises(psycopg.OperationalError):
            client.commit()
        client.close()
        assert proxy.cut == 1
    until(
        lambda: as_superuser.execute("SELECT word FROM public.committed").fetchall() == [("once",)],
        "the commit to stand",
    )
    as_superuser.execute("DROP TABLE public.committed")
