"""The one door to Dramatiq inside core: a broker that carries hints and decides nothing.

A queue's messages are a sorted set in Valkey, each there once, in the order of publishing; a
unit takes the first and it is gone. Whether a job waits, ran or is lost stands in Postgres:
there is nothing to acknowledge here, and Dramatiq's retries, delays, priorities and time limits
are off.
"""

import threading
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import groupby
from operator import attrgetter
from typing import Any

import dramatiq
import redis
from dramatiq.broker import Consumer, MessageProxy
from dramatiq.errors import ConnectionClosed
from dramatiq.middleware import ShutdownNotifications

from core.jobs.kinds import QUEUES
from core.jobs.picks import Message
from core.logging import get_logger
from core.valkey import get_valkey, open_client

_QUEUE = "jobs:messages:"
_NUMBERS = "jobs:messages"
_APPEND = """
    for _, message in ipairs(ARGV) do
        redis.call('ZADD', KEYS[1], 'NX', redis.call('INCR', KEYS[2]), message)
    end
"""
log = get_logger(__name__)


def publish(messages: Sequence[Message]) -> None:
    """Tell the workers of jobs that wait; a message that does not get out goes out later."""
    try:
        for queue, told in groupby(sorted(messages, key=_queue_of), key=_queue_of):
            _append(queue, [f"{m.kind} {m.tenant_id} {m.job_id}" for m in told])
    except redis.RedisError as error:
        log.warning("messages_not_published", waiting=len(messages), error=str(error))


def count_messages(queue: str) -> int:
    """Answer how many messages of a queue no unit has taken."""
    return int(get_valkey().zcard(_QUEUE + queue))


@lru_cache(maxsize=1)
def get_broker() -> "_Broker":
    """Answer the process's broker, with every queue declared."""
    broker = _Broker()
    dramatiq.set_broker(broker)
    return broker


class _Broker(dramatiq.Broker):
    """What a worker and its actors know of queues; `publish` is the way in."""

    def __init__(self) -> None:
        super().__init__(middleware=[ShutdownNotifications()])
        for queue in QUEUES:
            self.declare_queue(queue)

    def declare_queue(self, queue_name: str) -> None:
        if queue_name not in self.queues:
            self.emit_before("declare_queue", queue_name)
            self.queues[queue_name] = None
            self.emit_after("declare_queue", queue_name)

    def consume(self, queue_name: str, prefetch: int = 1, timeout: int = 30_000) -> Consumer:
        return _Consumer(queue_name, prefetch=prefetch, timeout_s=timeout / 1_000)

    def flush(self, queue_name: str) -> None:
        get_valkey().delete(_QUEUE + queue_name)


class _Consumer(Consumer):
    """Takes a queue's messages, each as soon as it is there and one before it is done with."""

    def __init__(self, queue: str, *, prefetch: int, timeout_s: float) -> None:
        self._queue = queue
        self._timeout_s = timeout_s
        self._room = threading.Semaphore(prefetch)
        self._client = open_client()

    def __next__(self) -> MessageProxy | None:
        if not self._room.acquire(timeout=self._timeout_s):
            return None
        taken: Any = None
        try:
            taken = self._client.bzpopmin([_QUEUE + self._queue], timeout=self._timeout_s)
        except redis.RedisError as error:
            raise ConnectionClosed(error) from None
        finally:
            if not taken:
                self._room.release()
        return self._proxy(taken[1]) if taken else None

    def ack(self, message: MessageProxy) -> None:
        del message
        self._room.release()

    nack = ack

    def requeue(self, messages: Iterable[MessageProxy]) -> None:
        try:
            _append(self._queue, [f"{m.actor_name} {' '.join(m.args)}" for m in messages])
        except redis.RedisError as error:
            raise ConnectionClosed(error) from None

    def close(self) -> None:
        self._client.close()

    def _proxy(self, text: bytes) -> MessageProxy:
        kind, *ids = text.decode().split(" ")
        return MessageProxy(
            dramatiq.Message(
                queue_name=self._queue, actor_name=kind, args=tuple(ids), kwargs={}, options={}
            )
        )


_queue_of = attrgetter("queue")


def _append(queue: str, messages: list[str]) -> None:
    if messages:
        _appender()(keys=[_QUEUE + queue, _NUMBERS], args=messages)


@lru_cache(maxsize=1)
def _appender() -> Any:
    return get_valkey().register_script(_APPEND)
