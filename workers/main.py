"""`python -m workers.main`: supervises units, and tells the dispatcher how many there are."""

import argparse
import os
import sys
import tempfile
import time
from uuid import uuid4

from core.errors import UnavailableError
from core.jobs.kinds import QUEUES
from core.jobs.metrics import FOLDER_VARIABLE, serve_metrics, units_registry
from core.jobs.units import REGISTER_EVERY_S, forget_units, register_units
from core.logging import configure_logging, get_logger
from core.processes import Program, Supervisor
from core.settings import get_settings
from core.telemetry import start_telemetry

log = get_logger(__name__)


class _Registry:
    """Registers the units that are alive, every few seconds and when their number changes."""

    def __init__(self, supervisor: Supervisor, queues: list[str]) -> None:
        self.id = uuid4()
        self.supervisor = supervisor
        self.queues = queues
        self._last: dict[str, int] = {}
        self._at = 0.0

    def look(self) -> None:
        alive = {queue: self.supervisor.alive(queue) for queue in self.queues}
        if alive == self._last and time.monotonic() - self._at < REGISTER_EVERY_S:
            return
        try:
            register_units(self.id, alive)
        except UnavailableError:
            log.warning("units_not_registered")
            alive = {}
        self._last, self._at = alive, time.monotonic()

    def forget(self) -> None:
        try:
            forget_units(self.id)
        except UnavailableError:
            log.warning("units_not_forgotten")


def main(arguments: list[str] | None = None) -> int:
    """Run units until SIGTERM; 0 after a clean stop."""
    parser = argparse.ArgumentParser(prog="neozork work", description=__doc__)
    parser.add_argument("--queues", default=",".join(QUEUES), help="comma-separated; all")
    parser.add_argument("--units", type=int, default=1, help="processes per queue; 1")
    options = parser.parse_args(arguments)
    queues = options.queues.split(",")
    unknown = [queue for queue in queues if queue not in QUEUES]
    if unknown or options.units < 1:
        parser.error(f"--queues are some of {', '.join(QUEUES)}; --units is 1 or more")

    configure_logging(get_settings(), "worker")
    start_telemetry(get_settings(), "worker")
    with tempfile.TemporaryDirectory(prefix="neozork-metrics-") as folder:
        environment = os.environ | {FOLDER_VARIABLE: folder}
        supervisor = Supervisor(
            [
                Program(
                    name=queue,
                    command=[sys.executable, "-m", "workers.unit", queue],
                    environment=environment,
                )
                for queue in queues
                for _ in range(options.units)
            ]
        )
        registry = _Registry(supervisor, queues)
        serve_metrics(units_registry(folder))
        try:
            supervisor.run(registry.look)
        finally:
            registry.forget()
    return 0


if __name__ == "__main__":
    sys.exit(main())
