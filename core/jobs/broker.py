"""The one door to Dramatiq inside core: a broker that carries hints and decides nothing.

Retries, delays, priorities and time limits are ours and in Postgres; Dramatiq's are off.
"""

from collections.abc import Sequence
from functools import lru_cache

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from dramatiq.middleware import Middleware, ShutdownNotifications

from core.jobs.dispatch import Message
from core.jobs.kinds import QUEUES
from core.logging import get_logger
from core.settings import get_settings

NAMESPACE = "dramatiq"
log = get_logger(__name__)


@lru_cache(maxsize=1)
def get_broker() -> RedisBroker:
    """Answer the process's broker, with every queue declared."""
    middleware: list[Middleware] = [ShutdownNotifications()]
    broker = RedisBroker(
        url=get_settings().required("redis_url"),
        middleware=middleware,
        namespace=NAMESPACE,
        socket_timeout=2.0,
    )
    for queue in QUEUES:
        broker.declare_queue(queue)
    dramatiq.set_broker(broker)
    return broker


def publish(messages: Sequence[Message]) -> None:
    """Tell the workers of jobs that wait; a message that does not get out goes out later."""
    broker = get_broker()
    for position, message in enumerate(messages):
        try:
            broker.enqueue(
                dramatiq.Message(
                    queue_name=message.queue,
                    actor_name=message.kind,
                    args=(str(message.tenant_id), str(message.job_id)),
                    kwargs={},
                    options={},
                )
            )
        except dramatiq.errors.ConnectionError as error:
            log.warning(
                "messages_not_published", waiting=len(messages) - position, error=str(error)
            )
            return
