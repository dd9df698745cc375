"""Connections that wait for their next request, and how a process that stops lets go of them."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import gevent

_LONG_S = 0.4
_LOOKS = 4


class IdleConnections:
    """What a gunicorn worker's connections wait in between two requests.

    gunicorn waits for each until its keep-alive is over, also when it must stop; a load balancer
    that holds one open would keep a deployment waiting for the whole graceful timeout.
    """

    def __init__(self, keepalive_s: float) -> None:
        self._keepalive_s = keepalive_s
        self._waiting: dict[Any, tuple[Any, float]] = {}

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Wait for a request in the block, no longer than the keep-alive."""
        patience = gevent.Timeout(self._keepalive_s, False)
        self._waiting[patience] = (gevent.getcurrent(), time.monotonic())
        try:
            with patience:
                yield
        finally:
            del self._waiting[patience]

    def let_go(self) -> None:
        """End those that wait; who has just connected gets the time to ask."""
        for _ in range(_LOOKS):
            for patience, (greenlet, since) in list(self._waiting.items()):
                if time.monotonic() - since >= _LONG_S:
                    gevent.kill(greenlet, patience)
            gevent.sleep(_LONG_S)
