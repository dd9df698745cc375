"""Live events: what a tenant's browsers and scripts are told, through its Valkey stream.

An event is an announcement, never the truth: it may be lost with a flush, and then the epoch
changes, so that a listener knows to take a fresh snapshot. Ids are `epoch.milliseconds-n`.
"""

import json
import secrets
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from uuid import UUID

import redis

from core.errors import UnavailableError
from core.valkey import get_valkey, open_listener

EPOCH_KEY = "jobs:epoch"
CHANNEL_PREFIX = "events:"
WAKE_CHANNEL = "jobs:wake"
_KEPT = 1_000
_PREFIX_LENGTH = len(CHANNEL_PREFIX)


@dataclass(frozen=True, slots=True)
class Event:
    """One announcement: `id` as the stream numbers it, its `name`, and its JSON data."""

    id: str
    name: str
    data: str


# In one call, so that listeners hear events in the order of their numbers.
_ANNOUNCE = """
    local number = redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[1], '*',
                              'name', ARGV[2], 'data', ARGV[3])
    redis.call('PUBLISH', KEYS[1], cjson.encode({number, ARGV[2], ARGV[3]}))
    if ARGV[4] then redis.call('PUBLISH', ARGV[4], ARGV[5]) end
"""


def job_event(job_id: UUID, kind: str, status: str, *, attempt: int, **more: Any) -> dict[str, Any]:
    """Answer what listeners are told of a job: the parts of its document that change."""
    told = {"id": str(job_id), "kind": kind, "status": status, "attempt": attempt}
    return {**told, "progress": 0.0, "message": None, "error": None, **more}


def announce(tenant_id: UUID, name: str, data: dict[str, Any], *, wake: str | None = None) -> None:
    """Append an event to the tenant's stream and wake its listeners; failing is no error.

    `wake`: a queue for which the dispatcher is woken too, in the same trip.
    """
    with suppress(redis.RedisError):
        text = json.dumps(data, separators=(",", ":"))
        woken = [WAKE_CHANNEL, wake] if wake else []
        _announcer()(keys=[f"{CHANNEL_PREFIX}{tenant_id.hex}"], args=[_KEPT, name, text, *woken])


def wake_dispatcher(queue: str) -> None:
    """Tell the dispatcher that a queue has work or room; it also looks by itself, soon."""
    with suppress(redis.RedisError):
        get_valkey().publish(WAKE_CHANNEL, queue)


def current_epoch() -> str:
    """Answer the epoch of this Valkey's memory, beginning a new one where it was flushed."""
    valkey = get_valkey()
    valkey.set(EPOCH_KEY, secrets.token_hex(8), nx=True)
    return _text(valkey.get(EPOCH_KEY))


def events_since(tenant_id: UUID, number: str) -> list[Event] | None:
    """Answer the events after one that a listener has seen, None where it is no longer kept."""
    key = f"{CHANNEL_PREFIX}{tenant_id.hex}"
    valkey = get_valkey()
    try:
        entries: Any = valkey.xrange(key, min=number)
    except redis.ResponseError:
        return None
    if not entries or _text(entries[0][0]) != number:
        return None
    return [
        Event(_text(entry), _text(fields[b"name"]), _text(fields[b"data"]))
        for entry, fields in entries[1:]
    ]


def parse_announcement(channel: bytes, payload: bytes) -> tuple[UUID, Event]:
    """Read a published message back: whose it is, and the event."""
    number, name, data = json.loads(payload)
    return UUID(channel.decode()[_PREFIX_LENGTH:]), Event(number, name, data)


def newest_number(tenant_id: UUID) -> str:
    """Answer the number of the tenant's newest event, `0-0` where there was none."""
    entries: Any = get_valkey().xrevrange(f"{CHANNEL_PREFIX}{tenant_id.hex}", count=1)
    return _text(entries[0][0]) if entries else "0-0"


def hear_announcements(on_hearing: Callable[[], object]) -> Iterator[tuple[UUID, Event]]:
    """Yield every tenant's events as they are published.

    `on_hearing` is called once none can be missed any more. Raises UnavailableError when the
    connection breaks.
    """
    listener = open_listener()
    try:
        with listener.pubsub(ignore_subscribe_messages=True) as channel:
            channel.psubscribe(f"{CHANNEL_PREFIX}*")
            channel.get_message(timeout=None)
            on_hearing()
            for message in channel.listen():
                yield parse_announcement(message["channel"], message["data"])
    except redis.RedisError as error:
        raise UnavailableError("Valkey does not answer; events are interrupted.") from error
    finally:
        listener.close()


@lru_cache(maxsize=1)
def _announcer() -> Any:
    return get_valkey().register_script(_ANNOUNCE)


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
