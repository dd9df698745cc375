"""`python -m scheduler.main`: ticks, and decides nothing; any number may run."""

import signal
import sys
import threading
from contextlib import suppress
from datetime import UTC

from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.interval import IntervalTrigger

from core.clock import now
from core.errors import UnavailableError
from core.jobs.heartbeats import stop_beating
from core.logging import configure_logging, get_logger
from core.settings import get_settings
from core.telemetry import start_telemetry
from scheduler.ticks import PROCESS_ID, TICKS, Tick

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
    """Tick until SIGTERM; 0 once the running tick has ended."""
    settings = get_settings()
    configure_logging(settings, "scheduler")
    start_telemetry(settings, "scheduler")
    scheduler = BackgroundScheduler(timezone=UTC)
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
    # A handler that stopped the scheduler itself could meet it as it starts or submits, which
    # then swallows the call: so it runs beside, and this thread only waits to be told.
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    log.info("scheduler_ready")
    scheduler.start()
    stop.wait()
    scheduler.shutdown(wait=True)
    with suppress(UnavailableError):
        stop_beating(PROCESS_ID)
    return 0


if __name__ == "__main__":
    sys.exit(main())
