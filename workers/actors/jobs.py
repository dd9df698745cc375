"""The job table's own housekeeping."""

import dramatiq

from core.jobs.kinds import RETIRE_JOBS
from workers.perform import perform


@dramatiq.actor(actor_name=RETIRE_JOBS.name, queue_name=RETIRE_JOBS.queue)
def retire_jobs(tenant_id: str, job_id: str) -> None:
    """Delete the rows of jobs that ended long ago."""
    perform(RETIRE_JOBS, tenant_id, job_id)
