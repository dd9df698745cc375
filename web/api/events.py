"""Live events of a firm as a stream: a snapshot first, resumed where the listener left off."""

import json
import signal
from collections.abc import Iterator
from queue import Empty
from types import FrameType

from flask import Response, g, request
from flask.views import MethodView
from flask_smorest import Blueprint

from core.errors import NeozorkError
from core.identity.authentication import authenticate
from core.jobs import control
from core.jobs.events import Event, current_epoch, events_since, newest_number
from core.tenancy.session import open_session
from web.api.hub import HUB, Listener
from web.api.security import bearer_token, requires, tenant_id

blueprint = Blueprint("events", __name__, url_prefix="/events", description="Live events.")
HEARTBEAT_EVERY_S = 15.0
# Which permission an event takes; an event that is not named here goes to nobody.
_TAKES = {
    "job": "jobs:read",
    "usage": "usage:read",
    "billing": "billing:read",
    "alert": "events:read",
    "audit": "audit:read",
}


@blueprint.route("")
class Events(MethodView):
    """The stream."""

    @requires("events:read")
    @blueprint.response(200, {"type": "string"}, content_type="text/event-stream")
    def get(self) -> Response:
        """Stream events; send the last id that came as Last-Event-ID to resume."""
        stream = _Stream(bearer_token(), request.headers.get("Last-Event-ID"))
        return Response(
            stream.run(),
            content_type="text/event-stream",
            headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
        )


class _Stream:
    """One listener's stream; it holds no session while it waits."""

    def __init__(self, token: str, last_id: str | None) -> None:
        self.token = token
        self.last_id = last_id
        self.tenant_id = tenant_id()
        self.permissions = g.principal.permissions
        self.unfinished: set[str] = set()
        self.seen = ""

    def run(self) -> Iterator[str]:
        """Yield the stream's text until the client goes, the sign-in ends or we stop."""
        with HUB.listening(self.tenant_id) as listener:
            self.epoch = current_epoch()
            yield from self._opening()
            while not listener.closed:
                yield from self._next(listener)

    def _opening(self) -> Iterator[str]:
        """Replay what was missed, or begin anew with a snapshot of the unfinished jobs."""
        epoch, _, number = (self.last_id or "").partition(".")
        missed = events_since(self.tenant_id, number) if epoch == self.epoch and number else None
        if missed is not None:
            self.seen = number
            for event in missed:
                yield from self._tell(event)
            return
        self.seen = newest_number(self.tenant_id)
        if self.last_id:
            yield self._text("reset", "{}")
        yield from self._snapshot()

    def _snapshot(self) -> Iterator[str]:
        with open_session(self.tenant_id) as session:
            jobs = [control.job_document(job) for job in control.unfinished_jobs(session)]
        self.unfinished = {job["id"] for job in jobs}
        if _TAKES["job"] in self.permissions:
            for job in jobs:
                yield self._text("job", json.dumps(job))

    def _next(self, listener: Listener) -> Iterator[str]:
        try:
            event = listener.queue.get(timeout=HEARTBEAT_EVERY_S)
        except Empty:
            yield from self._heartbeat(listener)
            return
        if event is None:
            listener.closed = True
        elif _order(event.id) > _order(self.seen):
            yield from self._tell(event)

    def _heartbeat(self, listener: Listener) -> Iterator[str]:
        """Make sure the client may still listen, and tell what an event that was lost told."""
        yield ": heartbeat\n\n"
        try:
            self.permissions = authenticate(self.token).permissions
            if current_epoch() != self.epoch:
                listener.closed = True
                return
            ended = self.unfinished
            yield from self._snapshot()
            with open_session(self.tenant_id) as session:
                gone = [
                    control.job_document(job)
                    for job in control.jobs_by_id(session, ended - self.unfinished)
                ]
        except NeozorkError:
            listener.closed = True
            return
        for job in gone:
            yield self._text("job", json.dumps(job))

    def _tell(self, event: Event) -> Iterator[str]:
        self.seen = event.id
        if event.name == "job":
            job = json.loads(event.data)
            change = self.unfinished.discard if job["status"] in _ENDS else self.unfinished.add
            change(job["id"])
        if _TAKES.get(event.name) in self.permissions:
            yield self._text(event.name, event.data)

    def _text(self, name: str, data: str) -> str:
        return f"id: {self.epoch}.{self.seen}\nevent: {name}\ndata: {data}\n\n"


_ENDS = ("succeeded", "failed", "cancelled", "superseded")


def _order(number: str) -> tuple[int, int]:
    """Answer a stream's number `milliseconds-n` as something to compare."""
    milliseconds, _, n = number.partition("-")
    return int(milliseconds or 0), int(n or 0)


def close_streams_on_sigterm() -> None:
    """End every stream of this process when it is told to stop."""
    before = signal.getsignal(signal.SIGTERM)

    def stop(number: int, frame: FrameType | None) -> None:
        HUB.close()
        if callable(before):
            before(number, frame)

    signal.signal(signal.SIGTERM, stop)
