"""Waiting for a job whose answer somebody needs at once, holding no session meanwhile."""

import time
from uuid import UUID

from sqlalchemy import select

from core.jobs.models import UNFINISHED, Job
from core.tenancy.session import open_session_of

WAIT_S = 10.0
_LOOK_EVERY_S = 0.05


def wait_for_job(tenant_id: UUID, job_id: UUID, *, within_s: float = WAIT_S) -> str:
    """Answer the status at which a job stands when it ended, or after `within_s`."""
    deadline = time.monotonic() + within_s
    while True:
        with open_session_of(tenant_id) as session:
            status = session.scalar(select(Job.status).where(Job.id == job_id)) or "cancelled"
        if status not in UNFINISHED or time.monotonic() > deadline:
            return status
        time.sleep(_LOOK_EVERY_S)
