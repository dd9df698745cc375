"""Sweeps as they are asked for and read; what runs them is `core.trading.sweeps`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import String, cast, func, select

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
    gathering,
    refuse_barless,
    refuse_unfit,
    settings_of,
    usable_bars,
)
from core.trading.requests.parts import cells_in_part
from core.trading.requests.standing import of_status
from core.trading.requests.strategies import current_version
from core.trading.research.grid import read_grid
from core.trading.strategy.reading import read_strategy
from core.usage.quotas import current_plan
from core.wording import counted

MORE_IS_BETTER = (
    *("sharpe", "sortino", "calmar", "cagr", "total_return", "final_equity", "profit_factor"),
    *("expectancy", "win_rate", "payoff", "sqn"),
)
LESS_IS_BETTER = ("max_drawdown", "max_drawdown_days", "longest_drawdown_days", "volatility")
RANKED_BY = MORE_IS_BETTER + LESS_IS_BETTER


@dataclass(frozen=True, slots=True)
class SweepRequest:
    """A backtest at every cell of a grid; `best_by`: the metric to rank by, of RANKED_BY."""

    run: BacktestRequest
    grid: Mapping[str, Any]
    best_by: str = RANKED_BY[0]


def request_sweep(
    session: TenantSession, *, request: SweepRequest, created_by: UUID
) -> dict[str, Any]:
    """Keep a sweep, and queue its job with its parts, in one transaction; answer both ids.

    Raises what `request_backtest` does, and InvalidInputError with every fault of the settings,
    the ranking, the grid and the data's fit, the first hundred of them.
    """
    run, faults = request.run, list[Fault]()
    version = current_version(session, run.strategy_id)
    bar_set = usable_bars(session, run.data_id)
    strategy = read_strategy(version.document)
    with gathering(faults):
        settings = settings_of(run, lot=bar_set.lot)
        refuse_barless(settings, bar_set)
    if request.best_by not in RANKED_BY:
        text = f"A sweep is not ranked by {request.best_by[:40]!r}."
        faults.append(Fault("/best_by", "one_of", text, f"Take one of {', '.join(RANKED_BY)}."))
    with gathering(faults):
        most = current_plan(session).sweep_cells
        grid = read_grid(strategy, request.grid, most_cells=most, params=run.params)
    with gathering(faults):
        refuse_unfit(strategy, bar_set)
    if faults:
        detail = f"The sweep does not fit; {counted(len(faults), 'fault')} found."
        raise InvalidInputError(detail, errors=faults)
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
    size = cells_in_part(strategy, bar_set.rows or 0, len(grid))
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


def score_of(summary: Mapping[str, Any], best_by: str) -> float | None:
    """Answer a cell's place in the order of the best: more is better; None where undefined."""
    value: float | None = summary[best_by]
    return -value if value is not None and best_by in LESS_IS_BETTER else value


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
    status: str | None = None,
) -> Page[Sweep]:
    """Answer a page of the sweeps, newest first, of one strategy and status if asked."""
    statement = of_status(select(Sweep), status, made=Sweep.best)
    if strategy_id is not None:
        statement = statement.where(Sweep.strategy_id == strategy_id)
    by = (Sweep.created_at, Sweep.id)
    return read_page(session, statement, by=by, limit=limit, cursor=cursor)


def list_cells(
    session: TenantSession, sweep_id: UUID, *, limit: int, cursor: int
) -> tuple[list[tuple[int, str]], int]:
    """Answer a sweep's cells from a number on, in their order, and how many are there in all.

    Each with its number and its document as JSON text, which nobody need parse. Raises
    NotFoundError where the sweep is not there.
    """
    find_sweep(session, sweep_id)
    mine = SweepCell.sweep_id == sweep_id
    cells = select(*_PUBLISHED.values()).where(mine, SweepCell.cell >= cursor)
    few = cells.order_by(SweepCell.cell).limit(limit).subquery("cells")
    documents = select(few.c.cell, cast(func.row_to_json(few.table_valued()), String))
    total = session.scalar(select(func.count()).select_from(SweepCell).where(mine)) or 0
    page = session.execute(documents.order_by(few.c.cell))
    return [(cell, text) for cell, text in page], total


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
    return {name: getattr(cell, name) for name in _PUBLISHED}


_PUBLISHED = {
    "cell": SweepCell.cell,
    "params": SweepCell.params,
    "result_id": SweepCell.result_id,
    "summary": SweepCell.summary,
    "error": SweepCell.error,
}
