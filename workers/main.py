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

# A unit that lost Valkey looks for it again so often; three seconds were Dramatiq's.
_VALKEY_AGAIN_AFTER_MS = 500
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
    parser.add_argument(
        "--queues", default=",".join(QUEUES), help="comma-separated; bulk:2 for two units of one"
    )
    parser.add_argument("--units", type=int, default=1, help="units of each other queue; 1")
    options = parser.parse_args(arguments)
    units = _units(options.queues, options.units)
    if not units.keys() <= set(QUEUES) or min(units.values()) < 1:
        parser.error(f"--queues are some of {', '.join(QUEUES)}; --units is 1 or more")

    configure_logging(get_settings(), "worker")
    start_telemetry(get_settings(), "worker")
    with tempfile.TemporaryDirectory(prefix="neozork-metrics-") as folder:
        own = {FOLDER_VARIABLE: folder, "dramatiq_restart_delay": f"{_VALKEY_AGAIN_AFTER_MS}"}
        environment = os.environ | own
        supervisor = Supervisor(
            [
                Program(
                    name=queue,
                    command=[sys.executable, "-m", "workers.unit", queue],
                    environment=environment,
                    has_pulse=True,
                )
                for queue, count in units.items()
                for _ in range(count)
            ]
        )
        registry = _Registry(supervisor, list(units))
        serve_metrics(units_registry(folder))
        try:
            supervisor.run(registry.look)
        finally:
            registry.forget()
    return 0


def _units(queues: str, otherwise: int) -> dict[str, int]:
    """Answer how many units each queue gets; 0 where the number is none."""
    asked = [queue.partition(":") for queue in queues.split(",")]
    return {
        queue: (int(count) if count.isdecimal() else 0) if colon else otherwise
        for queue, colon, count in asked
    }


if __name__ == "__main__":
    sys.exit(main())
