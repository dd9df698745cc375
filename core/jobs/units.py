"""The register of units: how much work each queue can take."""

from collections.abc import Mapping
from uuid import UUID

from sqlalchemy import delete, func
from sqlalchemy.dialects.postgresql import insert

from core.jobs.models import Unit
from core.tenancy.session import open_platform_session

REGISTER_EVERY_S = 3.0


def register_units(supervisor_id: UUID, alive: Mapping[str, int]) -> None:
    """Write how many units of each queue a supervisor keeps alive, as of now."""
    now = func.clock_timestamp()
    with open_platform_session() as session:
        for queue, units in alive.items():
            session.execute(
                insert(Unit)
                .values(id=supervisor_id, queue=queue, units=units, seen_at=now)
                .on_conflict_do_update(
                    index_elements=["id", "queue"], set_={"units": units, "seen_at": now}
                )
            )


def forget_units(supervisor_id: UUID) -> None:
    """Take a supervisor's units from the register, as it stops."""
    with open_platform_session() as session:
        session.execute(delete(Unit).where(Unit.id == supervisor_id))
