"""One subscriber per process hears all events, and gives each to its tenant's listeners."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import Any
from uuid import UUID

import redis

from core.errors import ThrottledError, UnavailableError
from core.jobs.events import EPOCH_KEY, Event, hear_announcements, parse_announcement
from core.jobs.tending import tend
from core.logging import get_logger
from core.settings import get_settings
from web.api.connections import Connection

TEND_EVERY_S = 13.0
_LOOK_EVERY_S = 1.0
# Fewer than a stream keeps, so that who was cut off can resume.
_WAITING_AT_MOST = 500
_AGAIN_AFTER_S = 0.5
_FULL_AGAIN_AFTER_S = 10
# A broadcast to many would keep all other requests waiting: after so many listeners these come
# first, until they are answered or the broadcast has waited long enough for all of them. The pause
# is a real one, or gevent looks at no socket meanwhile.
_AT_ONCE = 20
_BREATH_S = 0.0005
_BREATHS = 60
# From all tenants alike: the next look comes soon.
_AWAY = (
    UnavailableError,
    redis.ConnectionError,
    redis.TimeoutError,
    redis.exceptions.OutOfMemoryError,
)
log = get_logger(__name__)


class TooManyStreamsError(ThrottledError):
    """Raised when a user, or the process, has as many streams open as it may."""

    code = "too_many_streams"
    title = "Too many event streams"


@dataclass(eq=False, slots=True)
class Listener:
    """One open stream, and what it has not been told yet.

    Its connection is cut, for a client that does not read keeps its stream from looking.
    """

    tenant_id: UUID
    user_id: UUID
    connection: Connection
    closed: bool = False
    _waiting: int = 0
    # Not a queue, which takes two kilobytes of each stream.
    _given: list[Sequence[Event] | None] = field(default_factory=list)
    _ready: threading.Event = field(default_factory=threading.Event)

    def put(self, events: Sequence[Event]) -> None:
        """Give it events; none: some were missed. Who reads too slowly is cut off and resumes."""
        if not events and events in self._given:
            return  # that one will look for these too
        self._waiting += len(events)
        if self._waiting <= _WAITING_AT_MOST:
            self._give(events)
        elif not self.closed:
            self.close()
            self.connection.cut()

    def take(self, within_s: float) -> Sequence[Event] | None:
        """Answer what was put first, None where it was closed; raises Empty after a while."""
        if not self._given:
            self._ready.clear()
            # What was given since the first look is there, or wakes us.
            if not self._given:
                self._ready.wait(within_s)
            if not self._given:
                raise Empty
        events = self._given.pop(0)
        self._waiting -= len(events or ())
        return events

    def close(self) -> None:
        """End it, and wake it up for that."""
        self.closed = True
        self._give(None)

    def _give(self, events: Sequence[Event] | None) -> None:
        self._given.append(events)
        self._ready.set()


@dataclass(eq=False, slots=True)
class _Feed:
    listeners: set[Listener] = field(default_factory=set)
    tended_at: float = float("-inf")


class Hub:
    """The listeners of this process, by tenant; `requests`: how many others are being answered."""

    def __init__(self) -> None:
        self.closing = False
        self.requests = 0
        self._feeds: dict[str, _Feed] = {}
        self._streams_of: Counter[UUID] = Counter()
        self._lock = threading.Lock()
        self._started = False
        self._interrupted = False
        self._epoch: str | None = None
        self._heard: SimpleQueue[tuple[str, Event]] = SimpleQueue()

    def open(self, tenant_id: UUID, user_id: UUID, connection: Connection) -> Listener:
        """Answer a listener that hears the tenant's events until it is forgotten.

        Raises ThrottledError, code `too_many_streams`, at the limit of the process or of the
        user, UnavailableError where the process is stopping.
        """
        listener = Listener(tenant_id, user_id, connection)
        self._make_room(user_id)
        with self._lock:
            self._refuse_excess(user_id)
            self._streams_of[user_id] += 1
            self._feeds.setdefault(tenant_id.hex, _Feed()).listeners.add(listener)
            if not self._started:
                self._started = True
                for work in (self._hear, self._hand_out, self._tend):
                    name = f"hub{work.__name__}"
                    thread = threading.Thread(target=self._for_ever, args=(work,), name=name)
                    thread.daemon = True
                    thread.start()
        return listener

    def forget(self, listener: Listener) -> None:
        """Give a listener nothing more; one that was forgotten already stays so."""
        with self._lock:
            feed = self._feeds.get(listener.tenant_id.hex)
            if feed is None or listener not in feed.listeners:
                return
            feed.listeners.remove(listener)
            if not feed.listeners:
                del self._feeds[listener.tenant_id.hex]
            self._streams_of[listener.user_id] -= 1
            if not self._streams_of[listener.user_id]:
                del self._streams_of[listener.user_id]

    def close(self) -> None:
        """End every stream, and open no more."""
        self.closing = True
        for listener in self._all():
            listener.close()

    def _refuse_excess(self, user_id: UUID) -> None:
        if self.closing:
            raise UnavailableError("This process is stopping; another one listens.")
        full = self._is_full()
        if full or self._has_enough(user_id):
            raise TooManyStreamsError(
                "The server has as many event streams open as it takes. Try again in a moment."
                if full
                else "You have as many event streams open as one user may. Close one, or share "
                "one among your windows.",
                retry_after_s=_FULL_AGAIN_AFTER_S,
            )

    def _is_full(self) -> bool:
        return self._streams_of.total() >= get_settings().event_streams_per_process

    def _has_enough(self, user_id: UUID) -> bool:
        return self._streams_of[user_id] >= get_settings().event_streams_per_user

    def _make_room(self, user_id: UUID) -> None:
        """At a limit, forget those whose clients have gone, which their streams notice late."""
        full = self._is_full()
        if not (full or self._has_enough(user_id)):
            return
        for listener in self._all():
            if (full or listener.user_id == user_id) and listener.connection.is_gone():
                self.forget(listener)
                listener.close()

    def _all(self) -> list[Listener]:
        with self._lock:
            return [one for feed in self._feeds.values() for one in feed.listeners]

    def _look_anew(self) -> None:
        """Let every stream look for what it missed: nothing was heard for a while."""
        for listener in self._all():
            listener.put(())

    def _for_ever(self, work: Callable[[], object]) -> None:
        """Work, whatever happens: a thread that died would leave every stream here deaf."""
        while True:
            if _failure_of(work):
                time.sleep(_AGAIN_AFTER_S)
                self._look_anew()

    def _hear(self) -> None:
        """Hear events until a break; after it each stream looks for what it missed."""
        try:
            for whose, payload in hear_announcements(self._look_anew):
                self._interrupted = False
                self._take_in(whose, payload)
        except UnavailableError as error:
            if not self._interrupted:  # once for each break, however long it lasts
                log.warning("events_interrupted", detail=error.detail)
            self._interrupted = True
        time.sleep(_AGAIN_AFTER_S)

    def _take_in(self, whose: str, payload: bytes) -> None:
        if whose == EPOCH_KEY:
            self._note(payload.decode())
        elif whose in self._feeds:
            event = parse_announcement(payload)
            self._note(event.position.epoch)
            self._heard.put((whose, event))

    def _note(self, epoch: str) -> None:
        """Let every stream begin anew where Valkey has forgotten what it was told."""
        before, self._epoch = self._epoch, epoch
        if before not in {None, epoch}:
            self._look_anew()

    def _hand_out(self) -> None:
        """Give what was heard to those it is for; what is heard meanwhile goes out together."""
        heard: dict[str, list[Event]] = {}
        whose, event = self._heard.get()
        with suppress(Empty):
            while True:
                heard.setdefault(whose, []).append(event)
                whose, event = self._heard.get_nowait()
        breaths = _BREATHS
        for tenant, events in heard.items():
            feed = self._feeds.get(tenant)
            for nth, listener in enumerate(tuple(feed.listeners) if feed else ()):
                listener.put(events)
                if nth % _AT_ONCE == _AT_ONCE - 1:
                    time.sleep(_BREATH_S)
                    while self.requests and breaths:
                        breaths -= 1
                        time.sleep(_BREATH_S)

    def _tend(self) -> None:
        """Look for lost events of every tenant that somebody here listens to."""
        time.sleep(_LOOK_EVERY_S)
        for tenant, feed in tuple(self._feeds.items()):
            if time.monotonic() - feed.tended_at >= TEND_EVERY_S:
                if isinstance(_failure_of(self._tend_one, tenant), _AWAY):
                    return
                feed.tended_at = time.monotonic()

    def _tend_one(self, tenant: str) -> None:
        self._note(tend(UUID(tenant)).epoch)


def _failure_of(work: Callable[..., object], *given: Any) -> Exception | None:
    """Do a piece of work; answer what it raised, and log what nobody foresaw."""
    try:
        work(*given)
    except _AWAY as error:
        return error
    except Exception as error:
        log.exception("events_work_failed", work=work.__name__)
        return error
    return None


HUB = Hub()
