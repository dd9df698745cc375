import socket
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID, uuid4

import dramatiq
import pytest

from core import valkey
from core.jobs.broker import get_broker, publish
from core.jobs.kinds import QUEUES, RUN_BACKTEST
from core.jobs.picks import Message
from core.settings import get_settings

pytestmark = pytest.mark.usefixtures("database")


def messages(count: int) -> list[Message]:
    return [Message(UUID(int=1), uuid4(), RUN_BACKTEST.name, "money") for _ in range(count)]


@pytest.fixture
def another_valkey(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Let the process believe that its Valkey is at a socket where the test decides."""
    path = tmp_path / "valkey"
    monkeypatch.setenv("REDIS_URL", f"unix://{path}?db=0")
    monkeypatch.setattr(valkey, "_TIMEOUT_S", 0.2)
    known = get_broker()
    for cached in (get_settings, get_broker):
        cached.cache_clear()
    yield path
    monkeypatch.undo()
    for cached in (get_settings, get_broker):
        cached.cache_clear()
    # Actors hang on the broker that they were declared with.
    get_broker().actors.update(known.actors)


def test_a_message_carries_ids_as_text_and_nothing_else() -> None:
    broker = get_broker()
    broker.flush("money")
    (sent,) = messages(1)
    publish([sent])
    consumer = broker.consume("money", prefetch=1, timeout=50)
    message = next(consumer)
    assert (message.actor_name, message.queue_name) == (RUN_BACKTEST.name, "money")
    assert message.args == (str(sent.tenant_id), str(sent.job_id))
    consumer.ack(message)
    assert broker.do_qsize("money") == 0


def test_a_round_of_messages_arrives_whole_and_rings_for_each() -> None:
    broker = get_broker()
    broker.flush("money")
    bell = "dramatiq:bell:money"
    broker.client.delete(bell)
    publish(messages(3))
    assert (broker.do_qsize("money"), broker.client.llen(bell)) == (3, 3)
    broker.flush("money")
    broker.client.delete(bell)


def test_dramatiqs_own_retries_and_limits_are_off() -> None:
    names = {type(middleware).__name__ for middleware in get_broker().middleware}
    assert not names & {"Retries", "TimeLimit", "AgeLimit", "Callbacks", "Pipelines"}
    assert set(QUEUES) <= get_broker().get_declared_queues()


def test_a_consumer_has_one_message_at_a_time_and_asks_when_it_is_done() -> None:
    broker = get_broker()
    broker.flush("money")
    publish(messages(2))
    consumer = broker.consume("money", prefetch=1, timeout=50)
    first = next(consumer)
    assert next(consumer) is None
    consumer.ack(first)
    assert next(consumer).message_id != first.message_id


@pytest.mark.usefixtures("another_valkey")
def test_a_valkey_that_is_away_is_no_error() -> None:
    publish(messages(2))
    with pytest.raises(dramatiq.errors.ConnectionClosed):
        next(get_broker().consume("money", prefetch=1, timeout=50))


def test_a_valkey_that_stands_still_is_given_up(another_valkey: Path) -> None:
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(another_valkey))
        silent.listen()
        publish(messages(2))
