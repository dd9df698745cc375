"""The job platform's own jobs."""

import dramatiq

from core.jobs.kinds import RECONCILE_TURNS, RETIRE_JOBS
from workers.perform import perform


@dramatiq.actor(actor_name=RECONCILE_TURNS.name, queue_name=RECONCILE_TURNS.queue)
def reconcile_turns(tenant_id: str, job_id: str) -> None:
    """Mend turns that differ from their tenant's tier and status."""
    perform(RECONCILE_TURNS, tenant_id, job_id)


@dramatiq.actor(actor_name=RETIRE_JOBS.name, queue_name=RETIRE_JOBS.queue)
def retire_jobs(tenant_id: str, job_id: str) -> None:
    """Delete the rows of jobs that ended long ago."""
    perform(RETIRE_JOBS, tenant_id, job_id)
