"""Sweeps as they are asked for and read; what runs them is `core.trading.sweeps`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import func, select

from core.clock import iso
from core.errors import Fault, InvalidInputError, NotFoundError
from core.jobs.kinds import RUN_SWEEP, RUN_SWEEP_PART
from core.jobs.models import Job
from core.jobs.submit import submit_parent
from core.tenancy.pages import Page, read_page
from core.tenancy.session import TenantSession
from core.trading.models import Sweep, SweepCell
from core.trading.requests.backtests import (
    BacktestRequest,
    refuse_unfit,
    settings_of,
    usable_bars,
)
from core.trading.requests.strategies import current_version
from core.trading.research.grid import read_grid
from core.trading.strategy.reading import read_strategy
from core.usage.quotas import current_plan

# Metrics that a sweep may be ranked by: the summary's, of which more is better.
RANKED_BY = ("sharpe", "sortino", "calmar", "cagr", "total_return", "profit_factor", "expectancy")
# About a second of one core: short enough to show progress, to let others in between and to lose
# little to a kill; long enough that queueing it costs nothing beside.
_BARS_IN_PART = 200_000_000
_FEWEST_IN_PART = 10
_MOST_IN_PART = 2_000


@dataclass(frozen=True, slots=True)
class SweepRequest:
    """A backtest at every cell of a grid; `best_by`: the metric of the summary to rank by."""

    run: BacktestRequest
    grid: Mapping[str, Any]
    best_by: str = RANKED_BY[0]


def request_sweep(
    session: TenantSession, *, request: SweepRequest, created_by: UUID
) -> dict[str, Any]:
    """Keep a sweep, and queue its job with its parts, in one transaction; answer both ids.

    Raises what `request_backtest` does, and InvalidInputError with every fault of the grid.
    """
    run = request.run
    version = current_version(session, run.strategy_id)
    bar_set = usable_bars(session, run.data_id)
    strategy = read_strategy(version.document)
    settings = settings_of(run, lot=bar_set.lot)
    if request.best_by not in RANKED_BY:
        text = f"A sweep is not ranked by {request.best_by[:40]!r}."
        fault = Fault("/best_by", "one_of", text, f"Take one of {', '.join(RANKED_BY)}.")
        raise InvalidInputError("The sweep cannot be ranked so.", errors=[fault])
    most = current_plan(session).sweep_cells
    grid = read_grid(strategy, request.grid, most_cells=most, params=run.params)
    refuse_unfit(strategy, bar_set)
    asked = {"params": dict(run.params), "grid": grid.as_document()}
    sweep = Sweep(
        strategy_id=version.strategy_id,
        version_id=version.id,
        bar_set_id=bar_set.id,
        settings={**asked, **settings.as_document()},
        cells_total=len(grid),
        best_by=request.best_by,
        created_by=created_by,
    )
    session.add(sweep)
    session.flush()
    size = cells_in_part(bar_set.rows or 0, len(grid))
    sweep.job_id = submit_parent(
        session,
        kind=RUN_SWEEP,
        args={"sweep_id": str(sweep.id)},
        part=RUN_SWEEP_PART,
        parts=[
            {"sweep_id": str(sweep.id), "first": first, "stop": min(first + size, len(grid))}
            for first in range(0, len(grid), size)
        ],
        key=str(sweep.id),
        created_by=created_by,
    )
    return {"id": str(sweep.id), "job_id": str(sweep.job_id), "status": "waiting"}


def cells_in_part(rows: int, cells: int) -> int:
    """Answer how many of a sweep's cells one part does, by how many bars each has."""
    fitting = _BARS_IN_PART // max(rows, 1)
    return min(max(fitting, _FEWEST_IN_PART), _MOST_IN_PART, cells)


def get_sweep(session: TenantSession, sweep_id: UUID) -> dict[str, Any]:
    """Answer a sweep as it stands; NotFoundError where it is not there.

    `best` holds the best cells so far, while others still run.
    """
    sweep = find_sweep(session, sweep_id)
    job = session.get(Job, sweep.job_id) if sweep.job_id else None
    done = session.scalar(select(func.count()).where(SweepCell.sweep_id == sweep_id)) or 0
    # An ended job's row is deleted one day; what it made stays.
    ended = "failed" if sweep.best is None else "succeeded"
    return {
        **listed_sweep(sweep),
        "status": job.status if job else ended,
        "progress": job.progress if job else 1.0,
        "error": job.error if job and job.status == "failed" else None,
        "settings": sweep.settings,
        "cells_done": done,
        "best": best_cells(session, sweep_id) if sweep.best is None else sweep.best,
    }


def best_cells(session: TenantSession, sweep_id: UUID, count: int = 10) -> list[dict[str, Any]]:
    """Answer a sweep's best cells that are there, the best first and ties by their number."""
    ranked = (
        select(SweepCell)
        .where(SweepCell.sweep_id == sweep_id, SweepCell.score.is_not(None))
        .order_by(SweepCell.score.desc().nulls_last(), SweepCell.cell)
        .limit(count)
    )
    return [cell_document(cell) for cell in session.scalars(ranked)]


def find_sweep(session: TenantSession, sweep_id: UUID) -> Sweep:
    """Answer a sweep's row; NotFoundError where it is not there."""
    sweep = session.get(Sweep, sweep_id)
    if sweep is None:
        raise NotFoundError("There is no sweep of this id.", code="sweep_not_found")
    return sweep


def list_sweeps(
    session: TenantSession,
    *,
    limit: int,
    cursor: str | None = None,
    strategy_id: UUID | None = None,
) -> Page[Sweep]:
    """Answer a page of the sweeps, newest first, of one strategy if asked."""
    statement = select(Sweep)
    if strategy_id is not None:
        statement = statement.where(Sweep.strategy_id == strategy_id)
    by = (Sweep.created_at, Sweep.id)
    return read_page(session, statement, by=by, limit=limit, cursor=cursor)


def list_cells(
    session: TenantSession, sweep_id: UUID, *, limit: int, cursor: int
) -> tuple[list[SweepCell], int]:
    """Answer a sweep's cells from a number on, in their order, and how many are there in all.

    Raises NotFoundError where the sweep is not there.
    """
    find_sweep(session, sweep_id)
    cells = select(SweepCell).where(SweepCell.sweep_id == sweep_id)
    page = cells.where(SweepCell.cell >= cursor).order_by(SweepCell.cell).limit(limit)
    total = session.scalar(select(func.count()).select_from(cells.subquery())) or 0
    return list(session.scalars(page)), total


def listed_sweep(sweep: Sweep) -> dict[str, Any]:
    """Answer a sweep as a row of a list."""
    return {
        "id": str(sweep.id),
        "job_id": str(sweep.job_id),
        "strategy_id": str(sweep.strategy_id),
        "data_id": str(sweep.bar_set_id),
        "cells_total": sweep.cells_total,
        "best_by": sweep.best_by,
        "created_at": iso(sweep.created_at),
    }


def cell_document(cell: SweepCell) -> dict[str, Any]:
    """Answer a cell as it is published."""
    return {
        "cell": cell.cell,
        "params": cell.params,
        "result_id": cell.result_id,
        "summary": cell.summary,
        "error": cell.error,
    }
