from uuid import UUID, uuid4

import pytest
from sqlalchemy import select

from core.jobs.models import Unit
from core.jobs.units import forget_units, register_units
from core.tenancy.session import open_platform_session

pytestmark = pytest.mark.usefixtures("database")


def units_of(supervisor: UUID) -> dict[str, Unit]:
    with open_platform_session() as session:
        units = session.scalars(select(Unit).where(Unit.id == supervisor))
        return {unit.queue: unit for unit in units}


def test_a_supervisor_says_how_many_units_of_each_queue_it_keeps() -> None:
    supervisor = uuid4()
    register_units(supervisor, {"interactive": 2, "bulk": 1})
    before = units_of(supervisor)
    register_units(supervisor, {"interactive": 1, "bulk": 1})
    after = units_of(supervisor)
    assert {queue: unit.units for queue, unit in after.items()} == {"interactive": 1, "bulk": 1}
    assert after["bulk"].seen_at > before["bulk"].seen_at


def test_a_supervisor_that_stops_takes_away_its_own_alone() -> None:
    leaving, staying = uuid4(), uuid4()
    for supervisor in (leaving, staying):
        register_units(supervisor, {"money": 1})
    forget_units(leaving)
    assert (len(units_of(leaving)), len(units_of(staying))) == (0, 1)
