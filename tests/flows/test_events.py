"""Event streams of real processes: what happens to them when servers go and come back."""

import http.client
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from uuid import UUID

import pytest

from core.jobs.events import announce
from core.jobs.kinds import RUN_BACKTEST
from core.jobs.submit import submit_job
from core.local.account import Account
from core.local.valkey import LocalValkey
from core.settings import get_settings
from core.tenancy.session import open_session
from core.valkey import get_valkey
from tests.builders import a_tenant, a_token
from tests.listening import Model, messages, table_of
from tests.programs import PATIENCE_S
from tests.serving import HOST, a_free_port, kill, web


@pytest.fixture
def valkey(database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalValkey]:
    """A Valkey of the test's own, for it is stopped and started."""
    del database
    account = Account.current()
    folder = account.fresh_folder("e-")
    server = LocalValkey(account, folder / "valkey", folder / "s")
    server.start()
    with monkeypatch.context() as patch:
        patch.setenv("REDIS_URL", server.url())
        get_settings.cache_clear()
        get_valkey.cache_clear()
        yield server
    get_settings.cache_clear()
    get_valkey.cache_clear()
    server.stop()


class Following:
    """A client over a real connection that comes back with its last id when it was cut off."""

    def __init__(self, port: int, token: str) -> None:
        self.port = port
        self.token = token
        self.model = Model()
        self.streams = 0
        self.told = self._follow()

    def _follow(self) -> Iterator[tuple[str, str, dict[str, object]]]:
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            with suppress(ConnectionError, http.client.HTTPException):
                for message in messages(self._chunks()):
                    self.model.apply(*message)
                    yield message
            time.sleep(0.05)
        raise AssertionError("what was waited for was not told")

    def _chunks(self) -> Iterator[bytes]:
        headers = {"Authorization": f"Bearer {self.token}"}
        if self.model.last_id:
            headers["Last-Event-ID"] = self.model.last_id
        connection = http.client.HTTPConnection(HOST, self.port, timeout=PATIENCE_S)
        with closing(connection):
            connection.request("GET", "/api/v1/events", headers=headers)
            answer = connection.getresponse()
            if answer.status == 503:
                return
            assert answer.status == 200, answer.read()
            self.streams += 1
            yield from iter(lambda: answer.read1(65_536), b"")

    def until_alert(self, n: int) -> None:
        for _, name, data in self.told:
            if name == "alert" and data["n"] == n:
                return

    def until_job(self, job: str) -> None:
        for _, name, data in self.told:
            if name == "job" and data["id"] == job:
                return


def a_job(tenant: UUID) -> str:
    with open_session(tenant) as session:
        return str(submit_job(session, kind=RUN_BACKTEST, args={}))


def alert(tenant: UUID, n: int) -> None:
    announce(tenant, "alert", {"n": n})


@pytest.mark.usefixtures("valkey")
@pytest.mark.parametrize("end", [kill, subprocess.Popen.terminate])
def test_a_restart_of_the_web_process_loses_and_doubles_nothing(
    end: Callable[["subprocess.Popen[bytes]"], None],
) -> None:
    tenant = a_tenant()
    port = a_free_port()
    client = Following(port, a_token(tenant))
    with web(port) as process:
        first = a_job(tenant)
        client.until_job(first)
        alert(tenant, 1)
        client.until_alert(1)
        end(process)
        alert(tenant, 2)  # while it stops
        process.wait(PATIENCE_S)
    alert(tenant, 3)
    second = a_job(tenant)
    with web(port):
        alert(tenant, 4)
        client.until_alert(4)
    assert client.model.alerts == [1, 2, 3, 4]
    assert (client.model.resets, client.streams) == (0, 2)
    assert client.model.jobs.keys() == {first, second}
    assert client.model.agrees(table_of(tenant))


def test_a_restart_and_a_kill_of_valkey_are_bridged_and_a_flush_resets(
    valkey: LocalValkey,
) -> None:
    tenant = a_tenant()
    port = a_free_port()
    client = Following(port, a_token(tenant))
    with web(port):
        first = a_job(tenant)
        client.until_job(first)
        alert(tenant, 1)
        client.until_alert(1)
        valkey.stop()
        lost = a_job(tenant)  # nobody can be told
        valkey.start()
        alert(tenant, 2)
        client.until_alert(2)
        client.until_job(lost)
        assert (client.model.resets, client.model.alerts) == (0, [1, 2])
        assert valkey.process is not None
        valkey.process.kill()
        valkey.process.wait()
        valkey.start()
        alert(tenant, 3)
        client.until_alert(3)
        assert (client.model.resets, client.model.alerts) == (0, [1, 2, 3])
        get_valkey().flushdb()
        alert(tenant, 4)
        while not (client.model.resets and client.model.agrees(table_of(tenant))):
            next(client.told)
        assert client.model.jobs.keys() == {first, lost}
        assert client.streams == 1


@pytest.mark.usefixtures("valkey")
def test_a_client_that_does_not_read_is_cut_off_and_resumes() -> None:
    tenant = a_tenant()
    port = a_free_port()
    client, witness = (Following(port, a_token(tenant)) for _ in range(2))
    with web(port):
        job = a_job(tenant)
        client.until_job(job)
        witness.until_job(job)
        for n in range(700):  # more than its connection and what may wait for it can hold
            announce(tenant, "alert", {"n": n, "text": "x" * 5_000})
            if n % 50 == 49:
                witness.until_alert(n)  # what one listener was told was given to the other
        client.until_alert(699)
    assert (witness.model.alerts, witness.streams) == (list(range(700)), 1)
    assert client.model.alerts == list(range(700))
    assert (client.model.resets, client.streams) == (0, 2)


@pytest.mark.usefixtures("valkey")
def test_sigterm_waits_for_no_stream_and_no_idle_connection() -> None:
    tenant = a_tenant()
    port = a_free_port()
    client = Following(port, a_token(tenant))
    patience = str(2 * int(PATIENCE_S))
    with web(port, "--graceful-timeout", patience, "--keep-alive", patience) as process:
        client.until_job(a_job(tenant))
        idle = http.client.HTTPConnection(HOST, port, timeout=PATIENCE_S)
        idle.request("GET", "/api/v1/health/live")
        idle.getresponse().read()
        process.terminate()
        assert process.wait(PATIENCE_S) == 0
        idle.close()


@pytest.mark.usefixtures("valkey")
def test_a_stream_that_its_client_closed_takes_no_place_of_its_users(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("EVENT_STREAMS_PER_USER", "2")
    port, token = a_free_port(), a_token(a_tenant())

    def opened() -> http.client.HTTPConnection:
        connection = http.client.HTTPConnection(HOST, port, timeout=PATIENCE_S)
        headers = {"Authorization": f"Bearer {token}"}
        connection.request("GET", "/api/v1/events", headers=headers)
        return connection

    with web(port):
        for _ in range(3):  # a page that is loaded again and again
            streams = [opened(), opened()]
            answers = [stream.getresponse() for stream in streams]
            assert [answer.status for answer in answers] == [200, 200]
            with closing(opened()) as third:
                assert third.getresponse().status == 429
            for each in (*answers, *streams):
                each.close()
