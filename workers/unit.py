"""`python -m workers.unit QUEUE`: one process that does one queue's jobs, one at a time.

A unit may be killed at any moment: its job's lease runs out and another unit does it.
"""

import signal
import sys
import threading

import dramatiq
from dramatiq.worker import Worker

from core.errors import ConfigurationError
from core.jobs import running
from core.jobs.kinds import QUEUES
from core.logging import configure_logging, get_logger
from core.pulse import show_pulse
from core.settings import get_settings
from core.telemetry import start_telemetry
from core.trading.backtest.machine import refuse_unfit_machine
from core.trading.backtest.memory import keep_freed_memory

# A job that a unit has taken from the queue and not begun waits for the one that runs.
PREFETCH = 1
WORKER_TIMEOUT_MS = 200
log = get_logger(__name__)


def main(queue: str) -> int:
    """Work until SIGTERM; then finish the running job, or give it back where it takes long.

    1 at once on a machine whose results would differ from those of others.
    """
    settings = get_settings()
    configure_logging(settings, f"unit-{queue}")
    start_telemetry(settings, f"unit-{queue}")
    try:
        refuse_unfit_machine()
    except ConfigurationError as error:
        log.critical("unit_refused", detail=error.detail)
        return 1
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    worker = _worker(queue)
    worker.start()
    show_pulse()
    log.info("unit_ready", queue=queue)
    stop.wait()
    worker.stop(int(running.FINISH_WITHIN_S * 1_000))
    running.give_back_unfinished()
    return 0


def _worker(queue: str) -> Worker:
    from workers import perform
    from workers.broker import broker

    keep_freed_memory()
    perform.preload(queue)
    dramatiq.set_broker(broker)
    worker = Worker(broker, queues={queue}, worker_timeout=WORKER_TIMEOUT_MS, worker_threads=1)
    worker.queue_prefetch = PREFETCH
    return worker


if __name__ == "__main__":
    if sys.argv[1:] and sys.argv[1] in QUEUES:
        sys.exit(main(sys.argv[1]))
    sys.exit(f"usage: python -m workers.unit {'|'.join(QUEUES)}")
