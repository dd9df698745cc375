"""A TCP proxy of our own that is slow, resets, swallows, and cuts behind a COMMIT.

It listens on loopback and passes on to a socket, of TCP or a path. Its loop runs in a thread of its
own, so that whoever starts it may block.
"""

import asyncio
import socket
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self, TypeVar

T = TypeVar("T")
Upstream = Path | tuple[str, int]
_CHUNK = 65_536
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
# As the frontend/backend protocol writes it, both simple and extended.
_COMMIT = b"COMMIT\0"


@dataclass(slots=True)
class Direction:
    """What becomes of bytes on one way: late, few at a time, or nowhere."""

    late_by_s: float = 0.0
    bytes_per_s: float | None = None
    swallows: bool = False
    swallowed: int = 0


class TcpProxy:
    """One listening port; what it does to bytes may change while they flow.

    `trips`: how often a client spoke after it had been answered, or first.
    """

    def __init__(self, upstream: Upstream) -> None:
        self.upstream = upstream
        self.sent = Direction()
        self.answered = Direction()
        self.commits_to_cut = 0
        self.refuses = False
        self.cut = 0
        self.trips = 0
        self._asked = False
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._clients: set[asyncio.StreamWriter] = set()

    def __enter__(self) -> Self:
        self._thread.start()
        self._server = self._in_loop(lambda: asyncio.start_server(self._accept, "127.0.0.1", 0))
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(self, *_: object) -> None:
        self._in_loop(self._end)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def reset_all(self) -> None:
        """Break every open connection with an RST."""
        self._loop.call_soon_threadsafe(lambda: [_reset(writer) for writer in self._clients])

    def heal(self) -> None:
        """Pass everything on again; what was swallowed on a connection stays so: it is dead."""
        if self.sent.swallows or self.answered.swallows:
            self.sent, self.answered = Direction(), Direction()
        else:
            for way in (self.sent, self.answered):
                way.late_by_s, way.bytes_per_s = 0.0, None
        self.commits_to_cut, self.refuses = 0, False

    def _in_loop(self, start: Callable[[], "asyncio.Future[T]"]) -> T:
        async def run() -> T:
            return await start()

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result()

    async def _end(self) -> None:
        self._server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._clients.add(writer)
        upward = None
        try:
            if self.refuses:
                return
            upstream, upward = await self._connect()
            # Bound now: a connection that was swallowed once never hears again.
            ways = (
                self._pass(reader, upward, self.sent, writer),
                self._pass(upstream, writer, self.answered, None),
            )
            tasks = [asyncio.ensure_future(way) for way in ways]
            _, rest = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in rest:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        except (OSError, asyncio.CancelledError):
            pass  # nobody is there, and the client hears a reset; or we end
        finally:
            self._clients.discard(writer)
            if upward is None:
                _reset(writer)
            for end in filter(None, (writer, upward)):
                end.close()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if isinstance(self.upstream, Path):
            return await asyncio.open_unix_connection(self.upstream)
        return await asyncio.open_connection(*self.upstream)

    async def _pass(
        self,
        source: asyncio.StreamReader,
        sink: asyncio.StreamWriter,
        way: Direction,
        client: asyncio.StreamWriter | None,
    ) -> None:
        with suppress(OSError):
            while data := await source.read(_CHUNK):
                self.trips += client is not None and not self._asked
                self._asked = client is not None
                if way.swallows:
                    way.swallowed += len(data)
                    await asyncio.get_running_loop().create_future()
                if way.late_by_s:
                    await asyncio.sleep(way.late_by_s)
                if way.bytes_per_s:
                    await asyncio.sleep(len(data) / way.bytes_per_s)
                sink.write(data)
                await sink.drain()
                if client is not None and self.commits_to_cut and _COMMIT in data:
                    self.commits_to_cut -= 1
                    self.cut += 1
                    _reset(client)
                    return


def _reset(writer: asyncio.StreamWriter) -> None:
    connection = writer.get_extra_info("socket")
    with suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    writer.transport.abort()
