import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from uuid import uuid4

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from core.jobs.heartbeats import beat
from core.jobs.kinds import RUN_BACKTEST
from core.jobs.metrics import FOLDER_VARIABLE, serve_metrics, tables_registry, units_registry
from core.jobs.pauses import pause_queue, pause_tenant
from core.jobs.submit import submit_job
from core.jobs.units import register_units
from core.settings import get_settings
from core.tenancy.session import open_platform_session, open_session
from tests.builders import a_tenant

UNIT = """
from core.jobs.kinds import RUN_BACKTEST
from core.jobs.metrics import count_end, count_start
count_start(RUN_BACKTEST, 0.02)
count_end(RUN_BACKTEST, "succeeded", 0.2)
"""


def told(registry: CollectorRegistry) -> dict[str, float]:
    lines = generate_latest(registry).decode().splitlines()
    return {
        name: float(value)
        for name, _, value in (line.rpartition(" ") for line in lines if not line.startswith("#"))
    }


@pytest.fixture(scope="module")
def tables() -> CollectorRegistry:
    return tables_registry()


def test_what_units_counted_is_summed_and_outlives_them(tmp_path: Path) -> None:
    for _ in range(2):
        environment = os.environ | {FOLDER_VARIABLE: str(tmp_path)}
        subprocess.run([sys.executable, "-c", UNIT], env=environment, check=True)
    sums = told(units_registry(str(tmp_path)))
    labels = f'kind="{RUN_BACKTEST.name}",queue="interactive"'
    ended = f'kind="{RUN_BACKTEST.name}",outcome="succeeded",queue="interactive"'
    assert sums[f"neozork_job_attempts_ended_total{{{ended}}}"] == 2
    assert sums[f"neozork_job_wait_seconds_count{{{labels}}}"] == 2
    assert sums[f"neozork_job_run_seconds_sum{{{labels}}}"] == pytest.approx(0.4)


@pytest.mark.usefixtures("quiet_jobs")
def test_the_tables_tell_depth_age_pauses_and_who_is_alive(tables: CollectorRegistry) -> None:
    tenant = a_tenant()
    with open_session(tenant) as session:
        for _ in range(3):
            submit_job(session, kind=RUN_BACKTEST, args={})
    register_units(uuid4(), {"interactive": 2})
    beat("dispatcher", uuid4())
    with open_platform_session() as session:
        pause_queue(session, "bulk")
        pause_tenant(session, tenant)
    now = told(tables)
    assert now['neozork_jobs{queue="interactive",status="queued"}'] == 3
    assert now['neozork_job_oldest_seconds{queue="interactive",status="queued"}'] > 0
    assert now['neozork_queue_paused{queue="bulk"}'] == 1
    assert now['neozork_queue_paused{queue="money"}'] == 0
    assert now["neozork_tenants_paused"] == 1
    assert now['neozork_alive{name="interactive"}'] == 2
    assert now['neozork_alive{name="dispatcher"}'] == 1
    assert now["neozork_database_up"] == 1


@pytest.fixture
def served_at(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    monkeypatch.setenv("METRICS_PORT", str(min(port, 65_525)))
    get_settings.cache_clear()
    yield port
    monkeypatch.undo()
    get_settings.cache_clear()


def test_metrics_are_served_on_loopback_at_the_first_free_port(served_at: int) -> None:
    first, second = serve_metrics(CollectorRegistry()), serve_metrics(CollectorRegistry())
    assert first is not None
    assert second is not None
    assert served_at <= first < second
    connection = HTTPConnection("127.0.0.1", second)
    connection.request("GET", "/metrics")
    assert connection.getresponse().status == 200
    connection.close()


def test_port_zero_serves_nothing() -> None:
    assert get_settings().metrics_port == 0
    assert serve_metrics(CollectorRegistry()) is None


def test_metric_names_are_prometheuss(tables: CollectorRegistry) -> None:
    names = {family.name for family in tables.collect()}
    assert all(re.fullmatch(r"neozork_[a-z_]+", name) for name in names)
