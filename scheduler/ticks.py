"""Every tick: when, and the one core function that turns due rows into job rows."""

from collections.abc import Callable
from dataclasses import dataclass
from uuid import uuid4

from core.identity.trials import enqueue_ended_trials
from core.jobs.heartbeats import beat
from core.jobs.retention import enqueue_retirement


@dataclass(frozen=True, slots=True)
class Tick:
    """One tick: its name, the function, and how many seconds lie between two.

    Nothing depends on a tick having happened: the next one finds the same rows due.
    """

    name: str
    function: Callable[[], int]
    every_s: int


def _beat() -> int:
    beat("scheduler", PROCESS_ID)
    return 0


PROCESS_ID = uuid4()
TICKS = (
    Tick(name="heartbeat", function=_beat, every_s=3),
    Tick(name="end_trials", function=enqueue_ended_trials, every_s=60),
    Tick(name="retire_jobs", function=enqueue_retirement, every_s=3_600),
)
