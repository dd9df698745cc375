"""The one door to Dramatiq inside core: a broker that carries hints and decides nothing.

Retries, delays, priorities and time limits are ours and in Postgres; Dramatiq's are off.
"""

import threading
from collections.abc import Sequence
from copy import copy
from functools import lru_cache, partial
from typing import Any

import dramatiq
import redis
from dramatiq.brokers.redis import RedisBroker, _RedisConsumer
from dramatiq.middleware import Middleware, ShutdownNotifications

from core.jobs.kinds import QUEUES
from core.jobs.picks import Message
from core.logging import get_logger
from core.valkey import open_client

NAMESPACE = "dramatiq"
# A bell for each queue: a list with a token for each message, which idle units wait at.
_BELL = f"{NAMESPACE}:bell:"
_MOST_TOKENS = 32
log = get_logger(__name__)


class _PromptConsumer(_RedisConsumer):
    """Asks for the next message as soon as there is room and a bell rings.

    Dramatiq's own sleeps between two questions, up to its timeout, whatever happens meanwhile.
    """

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self._done = threading.Event()
        self._found_nothing = False

    def ack(self, message: Any) -> None:
        super().ack(message)
        self._done.set()

    def nack(self, message: Any) -> None:
        super().nack(message)
        self._done.set()

    def __next__(self) -> Any:
        wait_s = self.timeout / 1_000
        self._done.clear()
        if self.outstanding_message_count >= self.prefetch:
            self._done.wait(wait_s)
            return None
        if self._found_nothing:
            try:
                self.broker.client.blpop([_BELL + self.queue_name], timeout=wait_s)
            except redis.RedisError as error:
                raise dramatiq.errors.ConnectionClosed(error) from None
        self.misses = 0
        message = super().__next__()
        self._found_nothing = message is None
        return message


class _PromptBroker(RedisBroker):
    """Dramatiq's, with prompt consumers, and all messages of a round in one trip."""

    consumer_class = _PromptConsumer

    def enqueue_all(self, messages: Sequence[Message]) -> None:
        """Append messages to their queues and ring for each."""
        # Asked of Valkey the first time, and of no pipeline.
        self._max_unpack_size()
        with self.client.pipeline(transaction=False) as pipeline:
            batch = copy(self)
            batch.scripts = {"dispatch": partial(self.scripts["dispatch"], client=pipeline)}
            for message in messages:
                batch.enqueue(_dramatiq_message(message))
                pipeline.lpush(_BELL + message.queue, 1)
            for queue in {message.queue for message in messages}:
                pipeline.ltrim(_BELL + queue, 0, _MOST_TOKENS - 1)
            pipeline.execute()


@lru_cache(maxsize=1)
def get_broker() -> _PromptBroker:
    """Answer the process's broker, with every queue declared."""
    middleware: list[Middleware] = [ShutdownNotifications()]
    broker = _PromptBroker(client=open_client(), middleware=middleware, namespace=NAMESPACE)
    for queue in QUEUES:
        broker.declare_queue(queue)
    dramatiq.set_broker(broker)
    return broker


def publish(messages: Sequence[Message]) -> None:
    """Tell the workers of jobs that wait; a message that does not get out goes out later."""
    if not messages:
        return
    try:
        get_broker().enqueue_all(messages)
    except redis.RedisError as error:
        log.warning("messages_not_published", waiting=len(messages), error=str(error))


def _dramatiq_message(message: Message) -> dramatiq.Message[Any]:
    return dramatiq.Message(
        queue_name=message.queue,
        actor_name=message.kind,
        args=(str(message.tenant_id), str(message.job_id)),
        kwargs={},
        options={},
    )
