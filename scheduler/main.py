"""`python -m scheduler.main`: ticks, and decides nothing; any number may run."""

import signal
import sys
from datetime import UTC

from apscheduler.schedulers.blocking import BlockingScheduler
from apscheduler.triggers.interval import IntervalTrigger

from core.clock import now
from core.errors import UnavailableError
from core.logging import configure_logging, get_logger
from core.settings import get_settings
from core.telemetry import start_telemetry
from scheduler.ticks import TICKS, Tick

log = get_logger(__name__)


def run_tick(tick: Tick) -> None:
    """Run one tick; where the database is away, the next tick makes it good."""
    try:
        due = tick.function()
    except UnavailableError as error:
        log.warning("tick_waits", tick=tick.name, detail=error.detail)
        return
    if due:
        log.info("tick", tick=tick.name, due=due)


def main() -> int:
    """Tick until SIGTERM; 0 after a clean stop."""
    settings = get_settings()
    configure_logging(settings, "scheduler")
    start_telemetry(settings, "scheduler")
    scheduler = BlockingScheduler(timezone=UTC)
    for tick in TICKS:
        scheduler.add_job(
            run_tick,
            IntervalTrigger(seconds=tick.every_s, timezone=UTC),
            args=[tick],
            id=tick.name,
            # Late is as good as in time, and once is enough for all that was missed.
            misfire_grace_time=None,
            coalesce=True,
            max_instances=1,
            next_run_time=now(),
        )
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: scheduler.shutdown(wait=False))
    log.info("scheduler_ready")
    scheduler.start()
    return 0


if __name__ == "__main__":
    sys.exit(main())
