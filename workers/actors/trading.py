"""Trading's jobs."""

import dramatiq

from core.jobs.kinds import IMPORT_BARS, RUN_BACKTEST
from workers.perform import perform


@dramatiq.actor(actor_name=IMPORT_BARS.name, queue_name=IMPORT_BARS.queue)
def import_bars(tenant_id: str, job_id: str) -> None:
    """Read an uploaded file into bars."""
    perform(IMPORT_BARS, tenant_id, job_id)


@dramatiq.actor(actor_name=RUN_BACKTEST.name, queue_name=RUN_BACKTEST.queue)
def run_backtest(tenant_id: str, job_id: str) -> None:
    """Run a strategy over bars."""
    perform(RUN_BACKTEST, tenant_id, job_id)
