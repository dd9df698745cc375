"""Sweeps by real units: what they store, what a kill costs, what a cancel frees."""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select

from core.jobs.control import JobFilter, list_jobs
from core.jobs.models import Job
from core.jobs.units import register_units
from core.storage.installed import installed_store
from core.tenancy.session import open_session
from core.trading.backtest.run import run_backtest
from core.trading.bars.canonical import data_hash, write_parquet
from core.trading.models import BarSet, SweepCell
from core.trading.strategy.reading import read_strategy
from tests.builders import a_client, a_document, a_strategy, a_tenant
from tests.laws.strategies import hourly_bars
from tests.programs import program, until

pytestmark = pytest.mark.usefixtures("quiet_jobs")
SWEEPS = "/api/v1/trading/sweeps/"
BARS = hourly_bars(7, 60_000)
PERIOD = {"type": "int", "default": 3, "min": 2, "max": 500}
# Conditions that read the position run bar by bar, which takes long enough to interrupt.
DOCUMENT = a_document(
    timeframe="1h",
    params={"fast_n": PERIOD, "slow_n": PERIOD},
    inputs={
        "fast": {"ta": "SMA", "with": {"timeperiod": "$fast_n"}},
        "slow": {"ta": "SMA", "with": {"timeperiod": "$slow_n"}},
    },
    long={"entry": "crosses_above(fast, slow)", "exit": "bars_held > 3 and close < fast"},
)


class Firm:
    """A tenant with bars and a strategy, and what became of its sweeps."""

    def __init__(self) -> None:
        self.id = a_tenant(tier="enterprise")
        self.client = a_client(self.id)
        key = installed_store().put_content(self.id, "bars", write_parquet(BARS))
        with open_session(self.id) as session:
            bar_set = BarSet(
                name="X",
                symbol=BARS.symbol,
                timeframe="1h",
                file_name="x.parquet",
                upload_key=key,
                upload_bytes=0,
                data_key=key,
                data_hash=data_hash(BARS),
                rows=len(BARS),
            )
            session.add(bar_set)
            session.flush()
            self.data = str(bar_set.id)
        self.strategy = a_strategy(self.client, **DOCUMENT)

    def sweep(self, fast: range, slow: range) -> tuple[UUID, UUID]:
        """Ask for a sweep and answer its id and its job's."""
        grid = {"fast_n": list(fast), "slow_n": list(slow)}
        body = {"strategy_id": self.strategy, "data_id": self.data, "grid": grid}
        made = self.client.post(SWEEPS, json=body)
        assert made.status_code == 202, made.text
        return UUID(made.json["id"]), UUID(made.json["job_id"])

    def status(self, job: UUID) -> str:
        register_units(uuid4(), {"bulk": 2})
        return str(self.client.get(f"/api/v1/jobs/{job}").json["status"])

    def parts(self, job: UUID) -> list[Job]:
        with open_session(self.id) as session:
            return list_jobs(session, chosen=JobFilter(parent_id=job), limit=999).items

    def cells(self, sweep: UUID) -> list[SweepCell]:
        there = select(SweepCell).where(SweepCell.sweep_id == sweep).order_by(SweepCell.cell)
        with open_session(self.id) as session:
            return list(session.scalars(there))


@pytest.fixture
def firm() -> Firm:
    return Firm()


@pytest.fixture
def programs() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        register_units(uuid4(), {"bulk": 2})
        stack.enter_context(program("workers.dispatcher", says="dispatcher_ready"))
        yield stack


def a_unit(programs: ExitStack) -> Any:
    return programs.enter_context(program("workers.unit", "bulk", says="unit_ready"))


def test_two_units_store_every_cell_as_the_single_run_bit_for_bit(
    firm: Firm, programs: ExitStack
) -> None:
    a_unit(programs), a_unit(programs)
    sweep, job = firm.sweep(range(2, 9), range(20, 26))
    until(lambda: firm.status(job) == "succeeded", "the sweep's end")
    assert len(firm.parts(job)) > 1
    strategy, found = read_strategy(DOCUMENT), firm.cells(sweep)
    assert [cell.cell for cell in found] == list(range(42))
    for cell in found:
        single = run_backtest(strategy, BARS, params=cell.params, content_hash=data_hash(BARS))
        assert cell.summary == dict(single.summary)
        assert cell.result_id == single.result_id


def test_killed_units_cost_one_part_each_and_no_cell(firm: Firm, programs: ExitStack) -> None:
    killed = [a_unit(programs), a_unit(programs)]
    sweep, job = firm.sweep(range(2, 22), range(30, 60))

    def both_are_at_work() -> bool:
        register_units(uuid4(), {"bulk": 2})
        return [part.status for part in firm.parts(job)].count("running") == 2

    until(both_are_at_work, "both units to have a part")
    for unit in killed:
        unit.kill()
        unit.wait()
    assert firm.status(job) == "waiting"
    a_unit(programs), a_unit(programs)
    until(lambda: firm.status(job) == "succeeded", "the sweep's end")
    repeated = [part.attempt - 1 for part in firm.parts(job)]
    assert (max(repeated), sum(repeated)) == (1, 2)
    assert [cell.cell for cell in firm.cells(sweep)] == list(range(600))


def test_a_cancelled_sweep_frees_its_unit_in_the_middle_of_a_part(
    firm: Firm, programs: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One part of it would take longer than this test waits for anything.

    The unit has done a sweep before: in its first moments compiled code is read, nothing asked.
    """
    a_unit(programs)
    _first, first_job = firm.sweep(range(2, 4), range(20, 22))
    until(lambda: firm.status(first_job) == "succeeded", "a first sweep")
    with monkeypatch.context() as patch:
        patch.setattr("core.trading.requests.parts._SHARED_AMONG", 1)
        patch.setattr("core.trading.requests.parts._MOST_IN_PART", 10**9)
        patch.setattr("core.trading.requests.parts._BARS_IN_PART", 10**12)
        long, job = firm.sweep(range(2, 252), range(252, 501))
    until(lambda: firm.parts(job)[0].status == "running", "the part to run")
    assert firm.client.post(f"/api/v1/jobs/{job}/cancel").json["status"] == "cancelled"
    short, next_job = firm.sweep(range(2, 4), range(20, 22))
    until(lambda: firm.status(next_job) == "succeeded", "another sweep by the same unit")
    assert (len(firm.cells(long)), len(firm.cells(short))) == (0, 4)
