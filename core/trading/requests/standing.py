"""How what a job makes stands: as its job does, and by what was made where that is deleted."""

from typing import Any

from sqlalchemy import Select
from sqlalchemy.orm import InstrumentedAttribute

from core.jobs.models import Job


def of_status(
    statement: Select[Any], status: str | None, *, made: InstrumentedAttribute[Any]
) -> Select[Any]:
    """Narrow a list to what shows a status in its document; None leaves it as it is.

    `made`: the column that stays null until the job of a row has succeeded.
    """
    if status is None:
        return statement
    without_job = {"succeeded": made.is_not(None), "failed": made.is_(None)}
    shown = Job.status == status
    # Only where it must, for then rows without a job are looked at too.
    if status in without_job:
        shown |= Job.id.is_(None) & without_job[status]
    return statement.outerjoin(Job, Job.id == made.class_.job_id).where(shown)
