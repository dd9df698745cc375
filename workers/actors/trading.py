"""Trading's jobs."""

import dramatiq

from core.jobs.kinds import IMPORT_BARS, RUN_BACKTEST, RUN_SWEEP, RUN_SWEEP_PART
from workers.perform import perform


@dramatiq.actor(actor_name=IMPORT_BARS.name, queue_name=IMPORT_BARS.queue)
def import_bars(tenant_id: str, job_id: str) -> None:
    """Read an uploaded file into bars."""
    perform(IMPORT_BARS, tenant_id, job_id)


@dramatiq.actor(actor_name=RUN_BACKTEST.name, queue_name=RUN_BACKTEST.queue)
def run_backtest(tenant_id: str, job_id: str) -> None:
    """Run a strategy over bars."""
    perform(RUN_BACKTEST, tenant_id, job_id)


@dramatiq.actor(actor_name=RUN_SWEEP_PART.name, queue_name=RUN_SWEEP_PART.queue)
def run_sweep_part(tenant_id: str, job_id: str) -> None:
    """Run some cells of a sweep."""
    perform(RUN_SWEEP_PART, tenant_id, job_id)


@dramatiq.actor(actor_name=RUN_SWEEP.name, queue_name=RUN_SWEEP.queue)
def run_sweep(tenant_id: str, job_id: str) -> None:
    """Rank a sweep's cells, once all are there."""
    perform(RUN_SWEEP, tenant_id, job_id)
