"""Live events of a firm as a stream: a snapshot first, resumed where the listener left off."""

import _thread
import json
import signal
import time
from collections.abc import Iterator
from queue import Empty
from types import FrameType

from flask import Response, request
from flask.views import MethodView
from redis import RedisError

from core.errors import NeozorkError
from core.identity.authentication import authenticate
from core.jobs import control
from core.jobs.events import Event, current_epoch, events_since, newest_number
from core.tenancy.session import open_session
from web.api.hub import HUB, Listener
from web.api.reading import Blueprint
from web.api.security import bearer_token, caller, requires, tenant_id

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
        response = Response(
            stream.run(),
            content_type="text/event-stream",
            headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
        )
        response.call_on_close(stream.close)
        return response


class _Stream:
    """One listener's stream; it holds no session while it waits.

    What can fail is asked before the answer begins, while it can still be a problem document.
    """

    def __init__(self, token: str, last_id: str | None) -> None:
        self.token = token
        self.last_id = last_id
        self.tenant_id = tenant_id()
        self.permissions = caller().permissions
        self.unfinished: set[str] = set()
        self.seen = ""
        self.beat_at = time.monotonic() + HEARTBEAT_EVERY_S
        self.epoch = current_epoch()
        self.listener = HUB.open(self.tenant_id)
        try:
            self.opening = list(self._opening())
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Listen no more."""
        HUB.forget(self.tenant_id, self.listener)

    def run(self) -> Iterator[str]:
        """Yield the stream's text until the client goes, the sign-in ends or we stop."""
        yield "".join(self.opening) or ": welcome\n\n"
        while not self.listener.closed:
            yield from self._next(self.listener)

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
        """Tell the next event, or beat: on time, however much there is to tell."""
        wait_s = self.beat_at - time.monotonic()
        try:
            event = listener.queue.get(timeout=wait_s) if wait_s > 0 else _BEAT
        except Empty:
            event = _BEAT
        if event is _BEAT:
            self.beat_at = time.monotonic() + HEARTBEAT_EVERY_S
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
        except (NeozorkError, RedisError):
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


_BEAT = Event("", "", "")
_ENDS = ("succeeded", "failed", "cancelled", "superseded")


def _order(number: str) -> tuple[int, int]:
    """Answer a stream's number `milliseconds-n` as something to compare."""
    milliseconds, _, n = number.partition("-")
    return int(milliseconds or 0), int(n or 0)


def close_streams_on_sigterm() -> None:
    """End every stream of this process when it is told to stop."""
    before = signal.getsignal(signal.SIGTERM)

    def stop(number: int, frame: FrameType | None) -> None:
        # Not here: what the signal interrupted may hold a lock that closing needs.
        _thread.start_new_thread(HUB.close, ())
        if callable(before):
            before(number, frame)

    signal.signal(signal.SIGTERM, stop)
