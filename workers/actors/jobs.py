"""The job platform's own jobs."""

import dramatiq

from core.jobs.kinds import RECONCILE_TURNS
from workers.perform import perform


@dramatiq.actor(actor_name=RECONCILE_TURNS.name, queue_name=RECONCILE_TURNS.queue)
def reconcile_turns(tenant_id: str, job_id: str) -> None:
    """Mend turns that differ from their tenant's tier and status."""
    perform(RECONCILE_TURNS, tenant_id, job_id)
