"""Every kind of job, in one table: its queue, its limits, and the function that does it.

Functions are named by strings, which the workers resolve: whoever submits a job need not
import what it does.
"""

from dataclasses import dataclass
from typing import Literal

from core.plans import Queue

# `coalesce`: one waiting row per key, another may be asked for while one runs.
# `once`: one row per key for ever, unless it was cancelled.
Uniqueness = Literal["coalesce", "once"]


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of job.

    `function`: `module:name`, taking a `core.jobs.running.RunningJob`. `failures_allowed`: how
    many errors or deaths end it as failed. `time_limit_s`: longest run of one attempt.
    `memory_limit_mb`: 2²⁰ bytes that an attempt may take, over what its unit began with.
    `kept_days`: how long its row is kept after it ended well; None: for ever, however it ended,
    where the row itself keeps the same work from being done twice, or from never being done.
    `cancelled_kept`: a cancelled one is kept for ever, where a thing of a tenant's shows how its
    job ended and nothing else knows it.
    """

    name: str
    queue: Queue
    function: str
    failures_allowed: int
    time_limit_s: int
    memory_limit_mb: int
    uniqueness: Uniqueness | None = None
    kept_days: int | None = 14
    cancelled_kept: bool = False


PROVISION_TENANT = Kind(
    name="tenancy.provision",
    queue="housekeeping",
    function="core.identity.signup:provision_tenant",
    failures_allowed=10,
    time_limit_s=60,
    memory_limit_mb=256,
    kept_days=None,
    uniqueness="once",
)
RETIRE_JOBS = Kind(
    name="jobs.retire",
    queue="housekeeping",
    function="core.jobs.retention:retire_jobs",
    failures_allowed=10,
    time_limit_s=600,
    memory_limit_mb=256,
    uniqueness="once",
)
END_TRIAL = Kind(
    name="tenancy.end_trial",
    queue="housekeeping",
    function="core.identity.trials:end_trial",
    failures_allowed=10,
    time_limit_s=60,
    memory_limit_mb=256,
    uniqueness="coalesce",
)
MIGRATE_TENANTS = Kind(
    name="tenancy.migrate",
    queue="housekeeping",
    function="core.identity.migrating:migrate_tenants",
    failures_allowed=10,
    time_limit_s=3_600,
    memory_limit_mb=512,
    uniqueness="coalesce",
)
RECONCILE_TURNS = Kind(
    name="jobs.reconcile_turns",
    queue="housekeeping",
    function="core.jobs.turns:reconcile_turns",
    failures_allowed=5,
    time_limit_s=60,
    memory_limit_mb=256,
    uniqueness="once",
)
IMPORT_BARS = Kind(
    name="trading.import_bars",
    queue="bulk",
    function="core.trading.runs:import_bars",
    failures_allowed=3,
    time_limit_s=600,
    memory_limit_mb=4_096,
    uniqueness="once",
    cancelled_kept=True,
)
RUN_BACKTEST = Kind(
    name="trading.backtest",
    queue="interactive",
    function="core.trading.runs:run_backtest",
    failures_allowed=3,
    time_limit_s=600,
    memory_limit_mb=2_048,
    uniqueness="once",
    cancelled_kept=True,
)

RUN_SWEEP = Kind(
    name="trading.sweep",
    queue="bulk",
    function="core.trading.sweeps:finish_sweep",
    failures_allowed=3,
    time_limit_s=600,
    memory_limit_mb=512,
    uniqueness="once",
    cancelled_kept=True,
)
RUN_SWEEP_PART = Kind(
    name="trading.sweep_part",
    queue="bulk",
    function="core.trading.sweeps:run_sweep_part",
    failures_allowed=3,
    time_limit_s=600,
    memory_limit_mb=2_048,
)

_OF_PLATFORM = (PROVISION_TENANT, END_TRIAL, MIGRATE_TENANTS, RECONCILE_TURNS, RETIRE_JOBS)
_OF_TENANTS = (IMPORT_BARS, RUN_BACKTEST, RUN_SWEEP)
_PARTS = (RUN_SWEEP_PART,)
KINDS = {kind.name: kind for kind in (*_OF_PLATFORM, *_OF_TENANTS, *_PARTS)}
# What a firm can ask for; of its parts, which stand below that alone; and all that are no parts.
TENANT_KINDS = tuple(kind.name for kind in _OF_TENANTS)
PART_KINDS = tuple(kind.name for kind in _PARTS)
WHOLE_KINDS = tuple(name for name in KINDS if name not in PART_KINDS)
QUEUES: tuple[Queue, ...] = ("interactive", "bulk", "money", "housekeeping")
