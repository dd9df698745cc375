"""A client of the event stream, as the API's page tells people to write one, that checks it."""

import json
import threading
from collections.abc import Iterable, Iterator
from typing import Any
from uuid import UUID

from flask.testing import FlaskClient

from core.jobs.models import UNFINISHED, Job
from core.tenancy.session import open_session
from tests.programs import until

IN_A_SNAPSHOT = (0, 0)
Message = tuple[str, str, dict[str, Any]]


def messages(chunks: Iterable[bytes]) -> Iterator[Message]:
    """Yield id, name and data of each event; comments have a name of their own."""
    kept = b""
    for chunk in chunks:
        kept += chunk
        *blocks, kept = kept.split(b"\n\n")
        for block in blocks:
            lines = dict(line.partition(": ")[::2] for line in block.decode().splitlines())
            if "event" in lines:
                yield lines["id"], lines["event"], json.loads(lines["data"])
            elif "retry" not in lines:
                yield lines.get("id", ""), "comment", lines


def place(event_id: str) -> tuple[str, tuple[int, ...]]:
    epoch, _, number = event_id.partition(".")
    return epoch, tuple(map(int, number.split("-")))


class Model:
    """What a client believes: it applies snapshot, events and `reset`, and nothing else.

    Whoever tells it an event twice, an older one after a newer, or leaves out an alert without
    a reset, is caught at once.
    """

    def __init__(self) -> None:
        self.jobs: dict[str, tuple[str, int]] = {}
        self.alerts: list[int] = []
        self.last_id = ""
        self.resets = 0

    def apply(self, event_id: str, name: str, data: dict[str, Any]) -> None:
        if name == "comment":
            self.last_id = event_id or self.last_id
            return
        if name == "reset":
            self.jobs, self.alerts = {}, []
            self.resets += 1
        elif self.last_id and place(event_id)[1] != IN_A_SNAPSHOT:
            (epoch, number), (last_epoch, last) = place(event_id), place(self.last_id)
            assert epoch == last_epoch, f"{event_id} after {self.last_id} without a reset"
            assert number > last, f"{event_id} after {self.last_id}"
        self.last_id = event_id
        if name == "job":
            status = "queued" if data["status"] == "dispatched" else data["status"]
            self.jobs[data["id"]] = (status, data["attempt"])
        elif name == "alert":
            assert not self.alerts or data["n"] == self.alerts[-1] + 1, f"{data} was lost before"
            self.alerts.append(data["n"])

    def agrees(self, table: dict[str, tuple[str, int]]) -> bool:
        """Tell whether it knows each unfinished job, and of no job anything that is not so."""
        unfinished = {job for job, (status, _) in table.items() if status in UNFINISHED}
        return unfinished <= self.jobs.keys() and all(
            table[job] == known for job, known in self.jobs.items()
        )


def table_of(tenant: UUID) -> dict[str, tuple[str, int]]:
    with open_session(tenant) as session:
        rows = session.query(Job.id, Job.status, Job.attempt).filter(Job.parent_id.is_(None)).all()
    return {
        str(job): ("queued" if status == "dispatched" else status, attempt)
        for job, status, attempt in rows
    }


class Client:
    """A model that listens in a thread of its own, and comes back when its stream ends."""

    def __init__(self, client: FlaskClient) -> None:
        self.client = client
        self.model = Model()
        self.fault: BaseException | None = None
        self.streams = 0
        self._may_read = threading.Event()
        self._may_read.set()
        self._left = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()

    def hold(self) -> None:
        """Read nothing for now."""
        self._may_read.clear()

    def go_on(self) -> None:
        self._may_read.set()

    def reconnect(self) -> None:
        """Leave the stream at the next event or beat."""
        self._left.set()

    def stop(self) -> None:
        self._stop.set()
        self._left.set()
        self._may_read.set()
        self._thread.join()

    def until_it_agrees(self, tenant: UUID) -> None:
        def agrees() -> bool:
            if self.fault is not None:
                raise self.fault
            return self.model.agrees(table_of(tenant))

        until(agrees, "the client to believe what the table says")

    def _listen(self) -> None:
        try:
            while not self._stop.is_set():
                self._left.clear()
                self._follow()
        except AssertionError as error:
            self.fault = error

    def _follow(self) -> None:
        headers = {"Last-Event-ID": self.model.last_id} if self.model.last_id else {}
        answer = self.client.get("/api/v1/events", headers=headers)
        if answer.status_code == 503:
            self._stop.wait(0.05)
            return
        assert answer.status_code == 200, answer.text
        self.streams += 1
        try:
            for message in messages(answer.response):
                self.model.apply(*message)
                self._may_read.wait()
                if self._left.is_set():
                    return
        finally:
            answer.close()
