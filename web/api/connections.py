"""The connections that streams are written to: bounded, cut off, asked whether they live."""

import socket
from contextlib import suppress

# What waits in the kernel for a client that does not read, and for how long.
_SENDING_AT_MOST = 65_536
_UNREAD_FOR_MS = 30_000


class Connection:
    """A stream's connection; `None` where the server does not show it, and none can be asked."""

    __slots__ = ("_socket",)

    def __init__(self, connected: socket.socket | None) -> None:
        self._socket = connected
        if connected is None:
            return
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SENDING_AT_MOST)
        if connected.family != socket.AF_UNIX and hasattr(socket, "TCP_USER_TIMEOUT"):
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _UNREAD_FOR_MS)

    def cut(self) -> None:
        """Break it, for a client that does not read."""
        if self._socket is not None:
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)

    def is_gone(self) -> bool:
        """Tell whether the client has closed it, which else shows at the second write after."""
        if self._socket is None:
            return False
        if self._socket.fileno() < 0:
            return True
        patience = self._socket.gettimeout()
        self._socket.settimeout(0)  # gevent would wait for what a client says
        try:
            return not self._socket.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return False
        except OSError:
            return True
        finally:
            self._socket.settimeout(patience)
