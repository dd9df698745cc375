import inspect
from collections import Counter
from importlib import import_module

import pytest

from core.jobs.broker import get_broker
from core.jobs.kinds import KINDS, QUEUES, Kind
from core.jobs.running import RunningJob
from workers.perform import function_of

every_kind = pytest.mark.parametrize("kind", KINDS.values(), ids=list(KINDS))


@every_kind
def test_a_kinds_function_is_there_and_takes_a_running_job(kind: Kind) -> None:
    (parameter,) = inspect.signature(function_of(kind), eval_str=True).parameters.values()
    assert parameter.annotation is RunningJob


@every_kind
def test_a_kinds_limits_make_sense(kind: Kind) -> None:
    assert kind.queue in QUEUES
    assert kind.failures_allowed >= 1
    assert kind.time_limit_s >= 1
    assert KINDS[kind.name] is kind


@pytest.mark.usefixtures("database")
def test_every_kind_has_one_actor_on_its_own_queue_and_every_actor_a_kind() -> None:
    import_module("workers.broker")  # not before: it wants the test's Valkey
    actors = get_broker().actors.values()
    assert Counter((actor.actor_name, actor.queue_name) for actor in actors) == Counter(
        (kind.name, kind.queue) for kind in KINDS.values()
    )
