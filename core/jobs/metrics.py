"""What Prometheus is told of jobs: how long they waited and ran, how they ended, what waits now.

Units count into files that their supervisor sums and serves, so that a unit that dies takes no
count along. Depths are read from the tables when they are asked for, by the dispatcher.
"""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram, start_http_server
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector
from sqlalchemy import func, select

from core.errors import UnavailableError
from core.jobs.heartbeats import alive
from core.jobs.kinds import QUEUES, Kind
from core.jobs.models import UNFINISHED, Job
from core.jobs.pauses import paused_queues, paused_tenants
from core.logging import get_logger
from core.settings import get_settings
from core.tenancy.session import open_platform_session

# The library reads it when a metric is made: a supervisor sets it for the units that it starts.
FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
_PORTS_TRIED = 10
_SECONDS = (0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300, 600, 3_600)
_LABELS = ("queue", "kind")
log = get_logger(__name__)

_registry = CollectorRegistry()
_waited = Histogram(
    "neozork_job_wait_seconds",
    "From when a job may run until a unit begins it.",
    _LABELS,
    buckets=_SECONDS,
    registry=_registry,
)
_ran = Histogram(
    "neozork_job_run_seconds",
    "One attempt at a job.",
    _LABELS,
    buckets=_SECONDS,
    registry=_registry,
)
_ended = Counter(
    "neozork_job_attempts_ended",
    "Attempts by outcome: succeeded, failed, tried_again, superseded, lost, worker_died.",
    (*_LABELS, "outcome"),
    registry=_registry,
)


def count_start(kind: Kind, waited_s: float) -> None:
    """Count an attempt that begins, and how long its job waited."""
    _waited.labels(kind.queue, kind.name).observe(waited_s)


def count_end(kind: Kind, outcome: str, ran_s: float) -> None:
    """Count an attempt that ended, and how long it took."""
    _ran.labels(kind.queue, kind.name).observe(ran_s)
    _ended.labels(kind.queue, kind.name, outcome).inc()


def count_death(kind: Kind) -> None:
    """Count an attempt whose worker died."""
    _ended.labels(kind.queue, kind.name, "worker_died").inc()


def units_registry(folder: str) -> CollectorRegistry:
    """Answer what units that count into a folder counted, the dead ones too."""
    registry = CollectorRegistry()
    MultiProcessCollector(registry, path=folder)
    return registry


def tables_registry() -> CollectorRegistry:
    """Answer what the tables say when they are asked, beside what this process counted."""
    _registry.register(_Tables())
    return _registry


def serve_metrics(registry: CollectorRegistry) -> int | None:
    """Serve `/metrics` in a thread, at the first free port of ten; answer it, None for none."""
    settings = get_settings()
    if settings.metrics_port == 0:
        return None
    for port in range(settings.metrics_port, settings.metrics_port + _PORTS_TRIED):
        try:
            start_http_server(port, settings.metrics_address, registry)
        except OSError:
            continue
        log.info("metrics_served", address=settings.metrics_address, port=port)
        return port
    log.warning("metrics_not_served", address=settings.metrics_address, port=settings.metrics_port)
    return None


class _Tables(Collector):
    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Read the tables; where they are away, only that is told."""
        up = GaugeMetricFamily("neozork_database_up", "Whether the tables could be read.")
        try:
            read = _read_tables()
        except UnavailableError:
            up.add_metric([], 0)
            yield up
            return
        up.add_metric([], 1)
        yield up
        yield from read

    def describe(self) -> list[GaugeMetricFamily]:
        """Answer nothing, so that registering asks no table."""
        return []


def _read_tables() -> list[GaugeMetricFamily]:
    depth = GaugeMetricFamily(
        "neozork_jobs", "Jobs that have not ended.", labels=("queue", "status")
    )
    oldest = GaugeMetricFamily(
        "neozork_job_oldest_seconds",
        "For how long the oldest job of a status could have run.",
        labels=("queue", "status"),
    )
    paused = GaugeMetricFamily("neozork_queue_paused", "1 for a paused queue.", labels=("queue",))
    firms = GaugeMetricFamily("neozork_tenants_paused", "Tenants that an operator paused.")
    living = GaugeMetricFamily(
        "neozork_alive", "Units by queue, dispatchers and schedulers.", labels=("name",)
    )
    age = func.extract("epoch", func.clock_timestamp() - func.min(Job.not_before))
    waiting = (
        select(Job.queue, Job.status, func.count(), age)
        .where(Job.status.in_(UNFINISHED))
        .group_by(Job.queue, Job.status)
    )
    with open_platform_session() as session:
        for queue, status, count, seconds in session.execute(waiting):
            depth.add_metric((queue, status), count)
            oldest.add_metric((queue, status), max(float(seconds), 0.0))
        stopped = paused_queues(session)
        for queue in QUEUES:
            paused.add_metric((queue,), queue in stopped)
        firms.add_metric((), len(paused_tenants(session)))
        for name, count in alive(session).items():
            living.add_metric((name,), count)
    return [depth, oldest, paused, firms, living]
