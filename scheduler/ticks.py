"""Every tick: when, and the one core function that turns due rows into job rows."""

from collections.abc import Callable
from dataclasses import dataclass
from uuid import uuid4

from core.identity.migrating import enqueue_migration
from core.identity.trials import enqueue_ended_trials
from core.jobs.heartbeats import BEAT_EVERY_S, beat
from core.jobs.retention import enqueue_retirement
from core.jobs.turns import enqueue_reconciliation

# What is due is queued within a second; a tick that finds nothing costs a look at an index.
_OFTEN_S = 0.5


@dataclass(frozen=True, slots=True)
class Tick:
    """One tick: its name, the function, and how many seconds lie between two.

    Nothing depends on a tick having happened: the next one finds the same rows due.
    """

    name: str
    function: Callable[[], int]
    every_s: float = _OFTEN_S


def _beat() -> int:
    beat("scheduler", PROCESS_ID)
    return 0


PROCESS_ID = uuid4()
TICKS = (
    Tick("heartbeat", _beat, every_s=BEAT_EVERY_S),
    Tick("end_trials", enqueue_ended_trials),
    Tick("migrate_tenants", enqueue_migration),
    Tick("reconcile_turns", enqueue_reconciliation),
    Tick("retire_jobs", enqueue_retirement),
)
