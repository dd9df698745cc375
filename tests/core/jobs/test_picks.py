"""Picks against a model of what they promise, and queues that do not wait for each other."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import insert

from core.jobs.dispatch import dispatch
from core.jobs.models import Job, Turn
from core.jobs.picks import WINDOW_PER_UNIT, Message
from core.jobs.units import register_units
from core.plans import Queue
from core.tenancy.session import open_platform_session

pytestmark = pytest.mark.usefixtures("quiet_jobs")

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
MOST = 12


@dataclass
class Standing:
    """A tenant in the model: its turn, how many of its jobs fly, and those that wait in order."""

    turn: dict[str, Any]
    flying: int
    waiting: list[UUID]

    @property
    def free(self) -> int:
        if self.turn["held"] or self.turn["paused"]:
            return 0
        return MOST**2 if self.turn["cap"] is None else self.turn["cap"] - self.flying


def a_standing(random: Random, place: int) -> Standing:
    turn = {
        "tenant_id": uuid4(),
        "queue": "bulk",
        "cap": random.choice([None, 0, 1, 2, 5]),
        "held": random.random() < 0.1,
        "paused": random.random() < 0.1,
        "last_pick": LONG_AGO + timedelta(seconds=place),
    }
    waiting = [uuid4() for _ in range(random.choice([0, 0, 1, 2, MOST]))]
    return Standing(turn, random.choice([0, 0, 1, 1]), waiting)


def rows_of(standing: Standing, queue: str = "bulk") -> list[dict[str, Any]]:
    common = {"tenant_id": standing.turn["tenant_id"], "kind": "a.kind", "queue": queue, "args": {}}
    times = [LONG_AGO + timedelta(seconds=second) for second in range(len(standing.waiting))]
    born = [
        {"id": job, "status": "queued", "not_before": time}
        for job, time in zip(standing.waiting, times, strict=True)
    ]
    flying = [
        {"id": uuid4(), "status": "running", "not_before": LONG_AGO} for _ in range(standing.flying)
    ]
    soon = {"id": uuid4(), "status": "queued", "not_before": datetime.now(UTC) + timedelta(hours=1)}
    return [common | row for row in (*born, *flying, soon)]


def promised(standings: list[Standing], room: int) -> list[UUID]:
    """Give the first job of each tenant in turn, then the second of each, while there is room."""
    rounds = defaultdict(list)
    for standing in sorted(standings, key=lambda one: one.turn["last_pick"]):
        for place, job in enumerate(standing.waiting[: max(standing.free, 0)]):
            rounds[place].append(job)
    return [job for place in sorted(rounds) for job in rounds[place]][:room]


def picked(queue: Queue) -> list[UUID]:
    published: list[Message] = []
    dispatch(queue, published.extend)
    return [message.job_id for message in published]


@pytest.mark.parametrize("seed", range(60))
def test_a_pick_takes_what_the_rounds_give(seed: int) -> None:
    random = Random(seed)
    standings = [a_standing(random, place) for place in range(random.randint(1, MOST))]
    random.shuffle(standings)
    units = random.randint(1, 3)
    register_units(uuid4(), {"bulk": units})
    with open_platform_session() as session:
        session.execute(insert(Turn), [standing.turn for standing in standings])
        session.execute(insert(Job), [row for one in standings for row in rows_of(one)])
    room = max(WINDOW_PER_UNIT * units - sum(one.flying for one in standings), 0)
    assert sorted(picked("bulk")) == sorted(promised(standings, room))


def test_a_full_queue_keeps_no_other_waiting() -> None:
    crowd, single = a_standing(Random(1), 0), a_standing(Random(1), 1)
    crowd.turn |= {"cap": None, "held": False, "paused": False}
    crowd.waiting = [uuid4() for _ in range(1_000)]
    single.turn |= {"cap": None, "held": False, "paused": False, "queue": "money"}
    single.waiting = [uuid4()]
    single.flying = 0
    register_units(uuid4(), {"bulk": 2, "money": 1})
    with open_platform_session() as session:
        session.execute(insert(Turn), [crowd.turn])
        session.execute(insert(Turn), [single.turn])
        session.execute(insert(Job), rows_of(crowd))
        session.execute(insert(Job), rows_of(single, "money"))
    picked("bulk")
    assert picked("bulk") == []
    assert picked("money") == single.waiting
