"""`python -m scheduler.main`: ticks, and decides nothing; any number may run."""

import logging
import signal
import sys
import threading
import time
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

# A wall clock that moved by more was set, and did not merely drift.
_STEP_S = 0.25
_LOOK_EVERY_S = 0.25
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


def keep_in_step(scheduler: BackgroundScheduler, stop: threading.Event) -> None:
    """Wait to be told to stop; where the wall clock is set meanwhile, have every tick run now.

    APScheduler waits for a time of day: set back by an hour, it would tick in an hour.
    """
    apart = now().timestamp() - time.monotonic()
    while not stop.wait(_LOOK_EVERY_S):
        set_by = now().timestamp() - time.monotonic() - apart
        if abs(set_by) > _STEP_S:
            log.warning("clock_was_set", by_s=round(set_by, 3))
            apart += set_by
            for job in scheduler.get_jobs():
                job.modify(next_run_time=now())


def main() -> int:
    """Tick until SIGTERM; 0 once the running tick has ended."""
    settings = get_settings()
    configure_logging(settings, "scheduler")
    # It tells of every tick, twice.
    logging.getLogger("apscheduler").setLevel(logging.ERROR)
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
    keep_in_step(scheduler, stop)
    scheduler.shutdown(wait=True)
    with suppress(UnavailableError):
        stop_beating(PROCESS_ID)
    return 0


if __name__ == "__main__":
    sys.exit(main())
