"""`python -m workers.dispatcher`: hands out work, as long as it runs; any number may."""

import signal
import sys
import threading
import time
from contextlib import suppress
from uuid import uuid4

import redis

from core.errors import UnavailableError
from core.jobs.broker import publish
from core.jobs.dispatch import Publish, dispatch, reap, republish_all, republish_overdue
from core.jobs.events import WAKE_CHANNEL, current_epoch
from core.jobs.heartbeats import BEAT_EVERY_S, beat, stop_beating
from core.jobs.kinds import QUEUES
from core.jobs.metrics import serve_metrics, tables_registry
from core.jobs.parents import cancel_orphans
from core.jobs.picks import Drain
from core.logging import configure_logging, get_logger
from core.plans import Queue
from core.settings import get_settings
from core.telemetry import start_telemetry
from core.valkey import open_listener

POLL_EVERY_S = 0.2
# From one round to the next, after one that picked nothing and after one that did: an idle
# platform hears at once, a busy one is given several jobs at a time.
ROUND_TAKES_S = 0.005
BUSY_ROUND_TAKES_S = 0.02
MEND_EVERY_S = 0.5
log = get_logger(__name__)


class Dispatcher:
    """The loop: wait to be woken or for a fifth of a second, then pick from every queue.

    A queue is picked from once a round, so that a busy one keeps neither another nor the
    mending waiting; whoever makes room or work calls again.
    """

    def __init__(self, publish: Publish = publish) -> None:
        self.stop = threading.Event()
        self._publish = publish
        self._drains = {queue: Drain() for queue in QUEUES}
        self._epoch: str | None = None
        self._mended_at = 0.0
        self._beaten_at = 0.0
        self._id = uuid4()
        self._next_at = 0.0
        self._listener = open_listener()
        self._channel = self._listener.pubsub(ignore_subscribe_messages=True)

    def run(self) -> None:
        """Dispatch until told to stop; a service that is away is waited for."""
        while not self.stop.is_set():
            woken = self._wait()
            try:
                began = time.monotonic()
                picked = [dispatch(queue, self._publish, self._drains[queue]) for queue in woken]
                self._next_at = began + (BUSY_ROUND_TAKES_S if any(picked) else ROUND_TAKES_S)
                if time.monotonic() - self._mended_at >= MEND_EVERY_S:
                    self._mended_at = time.monotonic()
                    self._mend()
                if time.monotonic() - self._beaten_at >= BEAT_EVERY_S:
                    self._beaten_at = time.monotonic()
                    beat("dispatcher", self._id)
            except (UnavailableError, redis.RedisError) as error:
                log.warning("dispatch_waits", error=str(error))
                self.stop.wait(POLL_EVERY_S)
        with suppress(UnavailableError):
            stop_beating(self._id)
        with suppress(redis.RedisError):
            self._channel.close()
            self._listener.close()

    def _wait(self) -> tuple[Queue, ...]:
        """Answer the queues that were named in a wake-up call, all of them after the wait."""
        try:
            if not self._channel.subscribed:
                self._channel.subscribe(WAKE_CHANNEL)
            message = self._channel.get_message(timeout=POLL_EVERY_S)
            self.stop.wait(self._next_at - time.monotonic())
            named = set()
            while message is not None:
                named.add(message["data"].decode())
                message = self._channel.get_message(timeout=0)
        except redis.RedisError:
            self.stop.wait(POLL_EVERY_S)
            return QUEUES
        return tuple(queue for queue in QUEUES if queue in named) or QUEUES

    def _mend(self) -> None:
        """Make good what was lost: a flushed Valkey, messages past their deadline, dead workers."""
        reap()
        cancel_orphans()
        epoch = current_epoch()
        if self._epoch is not None and epoch != self._epoch:
            log.warning("valkey_was_flushed", published_again=republish_all(self._publish))
        self._epoch = epoch
        republish_overdue(self._publish)


def main() -> int:
    """Dispatch until SIGTERM."""
    settings = get_settings()
    configure_logging(settings, "dispatcher")
    start_telemetry(settings, "dispatcher")
    dispatcher = Dispatcher()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: dispatcher.stop.set())
    serve_metrics(tables_registry())
    log.info("dispatcher_ready")
    dispatcher.run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
