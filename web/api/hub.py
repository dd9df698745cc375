"""One subscriber per process hears all events, and gives each to its tenant's listeners."""

import threading
import time
from dataclasses import dataclass, field
from queue import Full, Queue
from uuid import UUID

from core.errors import UnavailableError
from core.jobs.events import Event, hear_announcements
from core.logging import get_logger

_WAITING_AT_MOST = 1_000
_AGAIN_AFTER_S = 0.5
_HEARING_WITHIN_S = 2.0
log = get_logger(__name__)


@dataclass(eq=False)
class Listener:
    """One open stream: what it has not been told yet; None ends it."""

    queue: "Queue[Event | None]" = field(default_factory=lambda: Queue(_WAITING_AT_MOST))
    closed: bool = False

    def put(self, event: Event | None) -> None:
        """Give it an event; one that reads too slowly is ended and resumes by itself."""
        try:
            self.queue.put_nowait(event)
        except Full:
            self.closed = True


class Hub:
    """The listeners of this process, by tenant."""

    def __init__(self) -> None:
        self._listeners: dict[UUID, set[Listener]] = {}
        self._lock = threading.Lock()
        self._subscriber: threading.Thread | None = None
        self._hearing = threading.Event()

    def open(self, tenant_id: UUID) -> Listener:
        """Answer a listener that hears the tenant's events until it is forgotten.

        Where Valkey is slow to answer, those of the first moments may be missed.
        """
        listener = Listener()
        with self._lock:
            self._listeners.setdefault(tenant_id, set()).add(listener)
            if self._subscriber is None:
                self._subscriber = threading.Thread(target=self._hear, name="hub", daemon=True)
                self._subscriber.start()
        self._hearing.wait(_HEARING_WITHIN_S)
        return listener

    def forget(self, tenant_id: UUID, listener: Listener) -> None:
        """Give a listener nothing more; one that was forgotten already stays so."""
        with self._lock:
            remaining = self._listeners.get(tenant_id, set())
            remaining.discard(listener)
            if not remaining:
                self._listeners.pop(tenant_id, None)

    def close(self) -> None:
        """End every stream."""
        for listeners in list(self._listeners.values()):
            for listener in list(listeners):
                listener.closed = True
                listener.put(None)

    def _hear(self) -> None:
        """Hear events for ever; after a break, listeners begin anew, for some were missed."""
        while True:
            try:
                for tenant_id, event in hear_announcements(self._hearing.set):
                    for listener in list(self._listeners.get(tenant_id, ())):
                        listener.put(event)
            except UnavailableError as error:
                if self._hearing.is_set():  # once for each break, however long it lasts
                    log.warning("events_interrupted", detail=error.detail)
            self._hearing.clear()
            self.close()
            time.sleep(_AGAIN_AFTER_S)


HUB = Hub()
