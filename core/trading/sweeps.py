"""What workers do for sweeps: run the cells of a part, and rank them all at the end."""

import json
from typing import Any
from typing import cast as typed
from uuid import UUID

from sqlalchemy import (
    JSON,
    Double,
    Integer,
    String,
    Table,
    Uuid,
    bindparam,
    cast,
    column,
    func,
    insert,
    select,
    update,
)

from core.errors import InvalidInputError
from core.jobs.running import RunningJob
from core.tenancy.session import open_session
from core.trading.models import BarSet, StrategyVersion, Sweep, SweepCell
from core.trading.requests.backtests import refuse_deleted
from core.trading.requests.sweeps import best_cells, score_of
from core.trading.research.grid import read_grid
from core.trading.research.prepared import Cell, prepare_sweep
from core.trading.research.sweep import run_cells
from core.trading.runs import load_bars, settings_kept
from core.trading.strategy.reading import read_strategy


def run_sweep_part(job: RunningJob) -> None:
    """Run some cells of a sweep, and keep what they came to."""
    sweep_id = UUID(job.args["sweep_id"])
    with open_session(job.tenant_id) as session:
        sweep = session.get_one(Sweep, sweep_id)
        refuse_deleted(session, sweep.strategy_id, asked="sweep")
        version = session.get_one(StrategyVersion, sweep.version_id)
        bar_set = session.get_one(BarSet, sweep.bar_set_id)
    bars = load_bars(job.tenant_id, bar_set)
    strategy = read_strategy(version.document)
    grid = read_grid(
        strategy,
        sweep.settings["grid"],
        most_cells=sweep.cells_total,
        params=sweep.settings["params"],
    )
    prepared = prepare_sweep(
        strategy, bars, grid, settings=settings_kept(sweep), content_hash=bar_set.data_hash
    )
    cells = range(job.args["first"], job.args["stop"])
    done = run_cells(prepared, cells, checkpoint=job.checkpoint)
    rows = json.dumps([_row(cell, sweep.best_by) for cell in done], allow_nan=False)
    with job.finishing() as session:
        session.execute(_INSERT, {"sweep": sweep_id, "rows": rows})


def finish_sweep(job: RunningJob) -> None:
    """Keep the best cells of a sweep whose parts have all succeeded."""
    sweep_id = UUID(job.args["sweep_id"])
    with open_session(job.tenant_id) as session:
        best = best_cells(session, sweep_id)
    with job.finishing() as session:
        session.execute(update(Sweep).where(Sweep.id == sweep_id).values(best=best))


def _row(cell: Cell, best_by: str) -> dict[str, Any]:
    error = None
    if cell.errors:
        # The problem document that a backtest with these parameters ends with.
        error = InvalidInputError(cell.errors[0].message, errors=cell.errors).problem()
    return {
        "cell": cell.number,
        "params": dict(cell.params),
        "score": None if cell.summary is None else score_of(cell.summary, best_by),
        "result_id": None if error else cell.result_id,
        "summary": cell.summary,
        "error": error,
    }


_COLUMNS: tuple[tuple[str, Any], ...] = (
    ("cell", Integer),
    ("params", JSON),
    ("score", Double),
    ("result_id", String),
    ("summary", JSON),
    ("error", JSON),
)
_rows = (
    func.json_to_recordset(cast(bindparam("rows", type_=String), JSON))
    .table_valued(*(column(name, kind) for name, kind in _COLUMNS), name="given")
    .render_derived(with_types=True)
)
# All rows in one parameter: a row each would cost more than the run that made it.
_INSERT = insert(typed(Table, SweepCell.__table__)).from_select(
    ["sweep_id", *(name for name, _ in _COLUMNS)],
    select(bindparam("sweep", type_=Uuid), *_rows.c),
)
