"""Live events of a firm as a stream: a snapshot first, resumed where the listener left off."""

import json
import secrets
import time
from collections.abc import Iterator, Sequence
from queue import Empty
from typing import Any

from flask import Response, request
from flask.views import MethodView
from redis import RedisError

from core.errors import NeozorkError
from core.identity.authentication import authenticate
from core.jobs.events import VIEW_OPENED, Event, Position, current_epoch
from core.jobs.tending import resume, snapshot
from web.api.connections import Connection
from web.api.hub import HUB
from web.api.reading import Blueprint
from web.api.security import bearer_token, caller, requires, tenant_id

blueprint = Blueprint("events", __name__, url_prefix="/events", description="Live events.")
HEARTBEAT_EVERY_S = 15.0
_LISTEN = "events:read"
# Which permission an event takes; an event that is not named here goes to nobody.
_TAKES = {
    "job": "jobs:read",
    "usage": "usage:read",
    "billing": "billing:read",
    "alert": "events:read",
    "audit": "audit:read",
}
# What gunicorn's access log, where somebody wants one, asks for when a stream is over.
_LOGGED = ("REQUEST_METHOD", "RAW_URI", "SERVER_PROTOCOL", "REMOTE_ADDR", "HTTP_USER_AGENT")
# Spread, so that those whom a restart cuts off do not come back all at once.
_RETRY_FROM_MS, _RETRY_SPREAD_MS = 500, 2_000


@blueprint.route("")
class Events(MethodView):
    """The stream."""

    @requires(_LISTEN)
    @blueprint.response(200, {"type": "string"}, content_type="text/event-stream")
    def get(self) -> Response:
        """Stream events; send the last id that came as Last-Event-ID to resume."""
        stream = _Stream(bearer_token(), request.headers.get("Last-Event-ID"))
        return Response(
            stream,
            content_type="text/event-stream",
            headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
            # Or an iterator around ours, and this response in it, would live as long.
            direct_passthrough=True,
        )


class _Stream:
    """One listener's stream; it holds no session while it waits.

    It is a place in the tenant's stream of events, told on from there: by what the hub hears,
    and where something may have been missed by what Valkey keeps. What can fail is asked before
    the answer begins, while it can still be a problem document.
    """

    __slots__ = (
        *("beat_at", "environ", "listener", "opening"),
        *("permissions", "seen", "tenant_id", "token"),
    )

    seen: Position

    def __init__(self, token: str, last_id: str | None) -> None:
        self.token = token
        self.environ = request.environ
        self.tenant_id = tenant_id()
        self.permissions = caller().permissions
        # Not all at once, where many come together.
        self.beat_at = time.monotonic() + HEARTBEAT_EVERY_S * (1 + secrets.randbelow(1_000)) / 1_000
        # Before the place is read: what is announced from then on is heard.
        connection = Connection(self.environ.get("gunicorn.socket"))
        self.listener = HUB.open(self.tenant_id, caller().user_id, connection)
        try:
            # With an id, or a client that was told nothing yet would have none to resume from.
            self.opening = self._catch_up(last_id) or f"id: {self.seen}\n: welcome\n\n".encode()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Listen no more."""
        HUB.forget(self.listener)

    def __iter__(self) -> Iterator[bytes]:
        """Yield the stream's text until the client goes, the sign-in ends or we stop."""
        self._forget_the_request()
        opening, self.opening = self.opening, b""
        yield _retry() + opening
        del opening
        while not self.listener.closed:
            text = self._next()
            if text:
                yield text
        if HUB.closing:
            yield _retry()

    def _forget_the_request(self) -> None:
        """Keep nothing of it that its end does not need: a stream is long."""
        logged = {name: self.environ[name] for name in _LOGGED if name in self.environ}
        self.environ.clear()
        self.environ.update(logged)

    def _next(self) -> bytes:
        """Answer what is next to tell, or a beat: on time, however much there is to tell."""
        wait_s = self.beat_at - time.monotonic()
        try:
            events = self.listener.take(wait_s) if wait_s > 0 else None
        except Empty:
            events = None
        if self.listener.closed:
            return b""
        try:
            if events is None:
                return self._beat()
            return self._tell(events) if events else self._catch_up(str(self.seen))
        except (NeozorkError, RedisError):
            self.listener.closed = True
            return b""

    def _catch_up(self, last_id: str | None) -> bytes:
        """Tell what was missed, or begin anew with a snapshot of the unfinished jobs."""
        missed = resume(self.tenant_id, last_id) if last_id else None
        seen = Position.parse(last_id) if missed is not None and last_id else None
        if seen is not None:
            self.seen = seen
            return self._tell(missed or ())
        self.seen, jobs = snapshot(self.tenant_id)
        told: list[tuple[str, dict[str, Any]]] = [("reset", {})] if last_id else []
        if _TAKES["job"] in self.permissions:
            told += [("job", job) for job in jobs]
        # Until it is whole, a snapshot has an id that nobody resumes from.
        partial = Position(self.seen.epoch, (0, 0))
        places = [partial] * (len(told) - 1) + [self.seen]
        events = [
            Event(at, name, json.dumps(data))
            for at, (name, data) in zip(places, told, strict=False)
        ]
        return b"".join(event.wire for event in events)

    def _tell(self, events: Sequence[Event]) -> bytes:
        """Answer the text of those events that this listener has not seen and may see."""
        told: list[bytes] = []
        for event in events:
            known = event.position.epoch == self.seen.epoch
            if known and event.position.number <= self.seen.number:
                continue
            if not known or event.name == VIEW_OPENED:
                return b"".join(told) + self._catch_up(str(self.seen))
            self.seen = event.position
            if _TAKES.get(event.name) in self.permissions:
                told.append(event.wire)
        return b"".join(told)

    def _beat(self) -> bytes:
        """Make sure that the client may still listen, and that Valkey remembers."""
        self.beat_at = time.monotonic() + HEARTBEAT_EVERY_S
        self.permissions = authenticate(self.token).permissions
        if _LISTEN not in self.permissions:
            self.listener.closed = True
            return b""
        missed = b"" if current_epoch() == self.seen.epoch else self._catch_up(str(self.seen))
        return b": heartbeat\n\n" + missed


def _retry() -> bytes:
    return f"retry: {_RETRY_FROM_MS + secrets.randbelow(_RETRY_SPREAD_MS)}\n\n".encode()


def close_streams() -> None:
    """End every stream of this process, which is told to stop."""
    HUB.close()
