"""From a message to the function that does the job, which `core.jobs.kinds` names."""

from collections.abc import Callable
from functools import lru_cache
from importlib import import_module
from uuid import UUID

from core.errors import UnavailableError
from core.jobs import running
from core.jobs.kinds import KINDS, Kind
from core.jobs.running import RunningJob
from core.logging import get_logger

log = get_logger(__name__)


@lru_cache
def function_of(kind: Kind) -> Callable[[RunningJob], None]:
    """Answer the function that does jobs of a kind, importing its module."""
    module, _, name = kind.function.partition(":")
    function: Callable[[RunningJob], None] = getattr(import_module(module), name)
    return function


def preload(queue: str) -> None:
    """Import what the jobs of a queue need, so that the first one does not wait for it."""
    for kind in KINDS.values():
        if kind.queue == queue:
            function_of(kind)


def perform(kind: Kind, tenant_id: str, job_id: str) -> None:
    """Do one job, if it still waits; a message is only a hint and may be dropped."""
    try:
        running.perform(function_of(kind), UUID(tenant_id), UUID(job_id))
    except UnavailableError as error:
        # Unclaimed, its message comes again at the deadline; claimed, its lease runs out.
        log.warning("job_not_claimed", job_id=job_id, detail=error.detail)
