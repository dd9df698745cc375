import socket
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID, uuid4

import dramatiq
import pytest

from core import valkey
from core.jobs.broker import _appender, count_messages, get_broker, publish
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
    for cached in (get_settings, valkey.get_valkey, _appender):
        cached.cache_clear()
    yield path
    monkeypatch.undo()
    for cached in (get_settings, valkey.get_valkey, _appender):
        cached.cache_clear()


@pytest.fixture
def broker() -> dramatiq.Broker:
    known = get_broker()
    known.flush("money")
    return known


def consumer_of(broker: dramatiq.Broker, prefetch: int = 1) -> dramatiq.Consumer:
    return broker.consume("money", prefetch=prefetch, timeout=50)


def test_a_message_carries_ids_as_text_and_nothing_else(broker: dramatiq.Broker) -> None:
    (sent,) = messages(1)
    publish([sent])
    message = next(consumer_of(broker))
    assert message is not None
    assert (message.actor_name, message.queue_name) == (RUN_BACKTEST.name, "money")
    assert message.args == (str(sent.tenant_id), str(sent.job_id))
    assert (message.kwargs, message.options) == ({}, {})


def test_messages_arrive_in_the_order_of_their_publishing(broker: dramatiq.Broker) -> None:
    sent = messages(7)
    publish(sent[:5])
    publish(sent[5:])
    consumer = consumer_of(broker, prefetch=7)
    assert [next(consumer).args[1] for _ in sent] == [str(one.job_id) for one in sent]


def test_a_message_published_again_is_there_once_at_its_first_place(
    broker: dramatiq.Broker,
) -> None:
    first, second = messages(2)
    publish([first, second])
    publish([second, first])
    consumer = consumer_of(broker, prefetch=3)
    taken = [next(consumer) for _ in range(3)]
    assert [one and one.args[1] for one in taken] == [str(first.job_id), str(second.job_id), None]


def test_a_message_that_is_taken_and_not_begun_can_be_put_back(broker: dramatiq.Broker) -> None:
    publish(messages(1))
    consumer = consumer_of(broker)
    taken = next(consumer)
    assert count_messages("money") == 0
    consumer.requeue([taken])
    assert next(consumer_of(broker)).args == taken.args


def test_messages_of_several_queues_go_each_to_its_own(broker: dramatiq.Broker) -> None:
    broker.flush("housekeeping")
    one, two, three = messages(3)
    publish([one, two._replace(queue="housekeeping"), three])
    assert (count_messages("money"), count_messages("housekeeping")) == (2, 1)
    broker.flush("housekeeping")


def test_dramatiqs_own_retries_and_limits_are_off() -> None:
    names = {type(middleware).__name__ for middleware in get_broker().middleware}
    assert not names & {"Retries", "TimeLimit", "AgeLimit", "Callbacks", "Pipelines"}
    assert set(QUEUES) <= get_broker().get_declared_queues()


@pytest.mark.parametrize("end", ["ack", "nack"])
def test_a_consumer_has_one_message_at_a_time_until_it_is_done(
    broker: dramatiq.Broker, end: str
) -> None:
    publish(messages(2))
    consumer = consumer_of(broker)
    first = next(consumer)
    assert next(consumer) is None
    assert count_messages("money") == 1
    getattr(consumer, end)(first)
    assert next(consumer).args != first.args


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
