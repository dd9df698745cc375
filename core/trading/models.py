"""A tenant's own schema: strategies with their versions, bar sets, backtests, sweeps."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import JSON, BigInteger, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from core.tenancy.models import TenantBase, created_now, new_id


class Strategy(TenantBase, kw_only=True):
    """A named strategy; what it says stands in its versions, and `current` is the number of one.

    A deleted strategy keeps its history.
    """

    __tablename__ = "strategies"
    __table_args__ = (Index("ix_strategies_listed", "created_at", "id"),)

    id: Mapped[UUID] = new_id()
    name: Mapped[str]
    current: Mapped[int] = mapped_column(server_default=text("1"), default=1)
    created_by: Mapped[UUID | None] = mapped_column(default=None)
    created_at: Mapped[datetime] = created_now()
    deleted_at: Mapped[datetime | None] = mapped_column(default=None)


class StrategyVersion(TenantBase, kw_only=True):
    """What a strategy said from one edit to the next; the same content is the same version.

    `document`: as it was sent, keys in their order. `spec_hash`: hex SHA-256 of its canonical
    form.
    """

    __tablename__ = "strategy_versions"
    __table_args__ = (
        UniqueConstraint("strategy_id", "version"),
        UniqueConstraint("strategy_id", "spec_hash"),
    )

    id: Mapped[UUID] = new_id()
    strategy_id: Mapped[UUID] = mapped_column(ForeignKey(Strategy.id))
    version: Mapped[int]
    spec_hash: Mapped[str]
    document: Mapped[dict[str, Any]] = mapped_column(JSON)
    created_at: Mapped[datetime] = created_now()


class BarSet(TenantBase, kw_only=True):
    """One upload of bars. Its facts are None until the import job has read the file.

    `upload_key`: the file as it came; `data_key`: the bars as Parquet, named by their content.
    `timezone`, `stamp`: how the file is to be read. `lot`: the smallest unit traded.
    """

    __tablename__ = "bar_sets"
    __table_args__ = (Index("ix_bar_sets_listed", "created_at", "id"),)

    id: Mapped[UUID] = new_id()
    name: Mapped[str]
    symbol: Mapped[str]
    timeframe: Mapped[str]
    timezone: Mapped[str | None] = mapped_column(default=None)
    stamp: Mapped[str] = mapped_column(server_default="open", default="open")
    lot: Mapped[float] = mapped_column(server_default=text("0"), default=0.0)
    file_name: Mapped[str]
    upload_key: Mapped[str]
    upload_bytes: Mapped[int] = mapped_column(BigInteger)
    job_id: Mapped[UUID | None] = mapped_column(default=None)
    data_key: Mapped[str | None] = mapped_column(default=None)
    data_hash: Mapped[str | None] = mapped_column(default=None)
    rows: Mapped[int | None] = mapped_column(default=None)
    first_at: Mapped[datetime | None] = mapped_column(default=None)
    last_at: Mapped[datetime | None] = mapped_column(default=None)
    certificate: Mapped[dict[str, Any] | None] = mapped_column(default=None)
    created_by: Mapped[UUID | None] = mapped_column(default=None)
    created_at: Mapped[datetime] = created_now()


class Backtest(TenantBase, kw_only=True):
    """One run of a strategy's version over a bar set.

    `settings`: params, range, cash, costs, lot and profile as asked for. `document`: the result
    document as the bytes that were hashed and signed (canonical JSON text), served unparsed;
    its series and trades lie in the storage under `result_id`.
    """

    __tablename__ = "backtests"
    __table_args__ = (Index("ix_backtests_listed", "created_at", "id"),)

    id: Mapped[UUID] = new_id()
    strategy_id: Mapped[UUID] = mapped_column(ForeignKey(Strategy.id))
    version_id: Mapped[UUID] = mapped_column(ForeignKey(StrategyVersion.id))
    bar_set_id: Mapped[UUID] = mapped_column(ForeignKey(BarSet.id))
    settings: Mapped[dict[str, Any]]
    job_id: Mapped[UUID | None] = mapped_column(default=None)
    result_id: Mapped[str | None] = mapped_column(default=None)
    document: Mapped[str | None] = mapped_column(default=None)
    signature: Mapped[str | None] = mapped_column(default=None)
    created_by: Mapped[UUID | None] = mapped_column(default=None)
    created_at: Mapped[datetime] = created_now()


class Sweep(TenantBase, kw_only=True):
    """One strategy's version over one bar set, at every cell of a grid of parameters.

    `settings`: as a backtest's, with `grid`, the axes in order. `best`: the best cells by
    `best_by`, once all are there. Each of its job's parts does `part_cells` cells.
    """

    __tablename__ = "sweeps"
    __table_args__ = (Index("ix_sweeps_listed", "created_at", "id"),)

    id: Mapped[UUID] = new_id()
    strategy_id: Mapped[UUID] = mapped_column(ForeignKey(Strategy.id))
    version_id: Mapped[UUID] = mapped_column(ForeignKey(StrategyVersion.id))
    bar_set_id: Mapped[UUID] = mapped_column(ForeignKey(BarSet.id))
    settings: Mapped[dict[str, Any]]
    cells_total: Mapped[int]
    best_by: Mapped[str]
    best: Mapped[list[dict[str, Any]] | None] = mapped_column(JSON, default=None)
    job_id: Mapped[UUID | None] = mapped_column(default=None)
    created_by: Mapped[UUID | None] = mapped_column(default=None)
    created_at: Mapped[datetime] = created_now()


class SweepCell(TenantBase, kw_only=True):
    """What one cell of a sweep came to; the same numbers as a backtest with its parameters.

    `score`: the metric that the sweep ranks by, None where it is undefined. `error`: the problem
    that a backtest would have ended with, in place of a summary.
    """

    __tablename__ = "sweep_cells"
    __table_args__ = (
        Index("ix_sweep_cells_ranked", "sweep_id", text("score DESC NULLS LAST"), "cell"),
    )

    sweep_id: Mapped[UUID] = mapped_column(ForeignKey(Sweep.id), primary_key=True)
    cell: Mapped[int] = mapped_column(primary_key=True)
    params: Mapped[dict[str, Any]] = mapped_column(JSON)
    score: Mapped[float | None] = mapped_column(default=None)
    result_id: Mapped[str | None] = mapped_column(default=None)
    summary: Mapped[dict[str, Any] | None] = mapped_column(JSON, default=None)
    error: Mapped[dict[str, Any] | None] = mapped_column(JSON, default=None)
