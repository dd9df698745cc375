"""Live events: what a tenant's browsers and scripts are told, through its Valkey stream.

An event is an announcement, never the truth: it may be lost with a flush, and then the epoch
changes, so that a listener knows to take a fresh snapshot. Ids are `epoch.milliseconds-n`.
Beside the stream lies what it told of unfinished jobs (`core.jobs.tending`).
"""

import json
import re
import secrets
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any
from uuid import UUID

import redis

from core.errors import UnavailableError
from core.valkey import get_valkey, open_listener

EPOCH_KEY = "jobs:epoch"
CHANNEL_PREFIX = "events:"
WAKE_CHANNEL = "jobs:wake"
# An event of this name is for streams, not for their clients: look whether you must begin anew.
VIEW_OPENED = "view"
KEPT = 1_000
KEPT_FOR_MS = 86_400_000
_PREFIX_LENGTH = len(CHANNEL_PREFIX)
_QUIET_S = 5.0
_POSITION = re.compile(r"([^.]+)\.([0-9]{1,20})-([0-9]{1,20})")


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a tenant's stream: the epoch, and its number there as something to compare."""

    epoch: str
    number: tuple[int, int]

    @classmethod
    def parse(cls, event_id: str) -> "Position | None":
        """Read an event's id; None where it is none."""
        found = _POSITION.fullmatch(event_id)
        return cls(found[1], (int(found[2]), int(found[3]))) if found else None

    @property
    def entry(self) -> str:
        """The number as the stream writes it."""
        return f"{self.number[0]}-{self.number[1]}"

    def __str__(self) -> str:
        return f"{self.epoch}.{self.entry}"


@dataclass(frozen=True)
class Event:
    """One announcement: its place, which is its id, its name, and its JSON data."""

    position: Position
    name: str
    data: str

    @cached_property
    def wire(self) -> bytes:
        """The event as a stream carries it, made once for all who hear it."""
        return f"id: {self.position}\nevent: {self.name}\ndata: {self.data}\n\n".encode()


# In one call, so that listeners hear events in the order of their numbers, and so that what the
# view says was told is what was told. An attempt's progress comes from a process that may not
# know yet that the attempt is over: what is older than what was told is not told. A status
# with no line in `never_after` only never follows itself.
_ANNOUNCE = """
    local stream, epoch_key, view = KEYS[1], KEYS[2], KEYS[3]
    local kept, life, fresh, name, data, wake, job, attempt, status, expected = unpack(ARGV)
    if wake ~= '' then redis.call('PUBLISH', KEYS[4], wake) end
    local tended = job ~= '' and redis.call('EXISTS', view) == 1
    if expected ~= '*' and not tended then return false end
    if tended then
        local was = redis.call('HGET', view, job) or ''
        local told, stood = string.match(was, '^(%d+) (%a+)')
        if expected ~= '*' then
            if was ~= expected then return false end
        elseif told then
            local never_after = {
                running = 'queued succeeded failed cancelled superseded',
                waiting = 'queued running succeeded superseded'
            }
            local newer = tonumber(attempt) - tonumber(told)
            local after = never_after[status] or status
            if newer < 0 or newer == 0 and string.find(after, stood, 1, true) then
                return false
            end
        end
    end
    local number = redis.call('XADD', stream, 'MAXLEN', '~', kept, '*', 'name', name, 'data', data)
    redis.call('PEXPIRE', stream, life)
    if tended then
        redis.call('HSET', view, job, attempt .. ' ' .. status .. ' ' .. number)
    end
    local epoch = redis.call('GET', epoch_key)
    if not epoch then
        epoch = fresh
        redis.call('SET', epoch_key, epoch)
    end
    redis.call('PUBLISH', stream, cjson.encode({epoch, number, name, data}))
    return number
"""
_ANY = "*"


def stream_keys(tenant_id: UUID) -> list[str]:
    """Answer the keys of a tenant's stream, of the epoch, and of what its listeners believe."""
    return [f"{CHANNEL_PREFIX}{tenant_id.hex}", EPOCH_KEY, f"told:{tenant_id.hex}"]


def job_event(job_id: UUID, kind: str, status: str, *, attempt: int, **more: Any) -> dict[str, Any]:
    """Answer what listeners are told of a job: the parts of its document that change."""
    told = {"id": str(job_id), "kind": kind, "status": status, "attempt": attempt}
    return {**told, "progress": 0.0, "message": None, "error": None, **more}


def announce(tenant_id: UUID, name: str, data: dict[str, Any], *, wake: str | None = None) -> None:
    """Append an event to the tenant's stream and wake its listeners; failing is no error.

    Of a job, nothing is told that is older than what was. `wake`: a queue for which the
    dispatcher is woken too, in the same trip.
    """
    with suppress(redis.RedisError):
        _announce(tenant_id, name, data, wake or "", _ANY)


def announce_anew(tenant_id: UUID, job: dict[str, Any], *, instead_of: str) -> None:
    """Announce a job whose event was lost, unless somebody told of it since `instead_of`."""
    _announce(tenant_id, "job", job, "", instead_of)


def _announce(tenant_id: UUID, name: str, data: dict[str, Any], wake: str, expected: str) -> None:
    text = json.dumps(data, separators=(",", ":"))
    about: tuple[Any, ...] = ("", 0, "")
    if name == "job":
        about = (data["id"], data["attempt"], told_status(data["status"]))
    run_script(
        _ANNOUNCE,
        [*stream_keys(tenant_id), WAKE_CHANNEL],
        [KEPT, KEPT_FOR_MS, fresh_epoch(), name, text, wake, *about, expected],
    )


def told_status(status: str) -> str:
    """Answer a job's status as listeners are told it: nobody hears that it was dispatched."""
    return "queued" if status == "dispatched" else status


def wake_dispatcher(queue: str) -> None:
    """Tell the dispatcher that a queue has work or room; it also looks by itself, soon."""
    with suppress(redis.RedisError):
        get_valkey().publish(WAKE_CHANNEL, queue)


def current_epoch() -> str:
    """Answer the epoch of this Valkey's memory, beginning a new one where it was flushed.

    Listeners hear of a new one at once. A Valkey that is full still answers the old one.
    """
    valkey = get_valkey()
    known = valkey.get(EPOCH_KEY)
    if known is None:
        fresh = fresh_epoch()
        if valkey.set(EPOCH_KEY, fresh, nx=True):
            valkey.publish(f"{CHANNEL_PREFIX}{EPOCH_KEY}", fresh)
        known = valkey.get(EPOCH_KEY)
    return text_of(known)


def position_of(tenant_id: UUID) -> Position:
    """Answer the place of the tenant's newest event, `0-0` where there was none."""
    epoch = current_epoch()
    entries: Any = get_valkey().xrevrange(stream_keys(tenant_id)[0], count=1)
    return at(epoch, entries[0][0] if entries else b"0-0")


def events_since(tenant_id: UUID, seen: Position) -> list[Event] | None:
    """Answer the events after one that a listener has seen, None where it is no longer kept."""
    stream, epoch_key, _ = stream_keys(tenant_id)
    with get_valkey().pipeline() as valkey:
        valkey.get(epoch_key)
        valkey.xrange(stream, min=seen.entry)
        try:
            epoch, entries = valkey.execute()
        except redis.ResponseError:
            return None
    if epoch is None or text_of(epoch) != seen.epoch:
        return None
    if not entries or text_of(entries[0][0]) != seen.entry:
        return None
    return [
        Event(at(seen.epoch, entry), text_of(fields[b"name"]), text_of(fields[b"data"]))
        for entry, fields in entries[1:]
    ]


def at(epoch: str, entry: bytes | str) -> Position:
    """Answer the place of an entry that the stream itself named."""
    milliseconds, _, n = text_of(entry).partition("-")
    return Position(epoch, (int(milliseconds), int(n)))


def parse_announcement(payload: bytes) -> Event:
    """Read a published message back."""
    epoch, entry, name, data = json.loads(payload)
    return Event(at(epoch, entry), name, data)


def hear_announcements(on_hearing: Callable[[], object]) -> Iterator[tuple[str, bytes]]:
    """Yield what is published: a tenant's id in hex and the payload, `jobs:epoch` and a new one.

    `on_hearing` is called once nothing can be missed any more. A connection that says nothing
    is asked whether it still lives. Raises UnavailableError when it breaks.
    """
    listener = open_listener()
    asked = False
    try:
        with listener.pubsub() as channel:
            channel.psubscribe(f"{CHANNEL_PREFIX}*")
            while True:
                message = channel.get_message(timeout=_QUIET_S)
                if message is None and asked:
                    raise redis.TimeoutError("no answer to a ping")
                asked = message is None
                if message is None:
                    channel.ping()
                elif message["type"] == "psubscribe":
                    on_hearing()
                elif message["type"] == "pmessage":
                    yield message["channel"].decode()[_PREFIX_LENGTH:], message["data"]
    except redis.RedisError as error:
        raise UnavailableError("Valkey does not answer; events are interrupted.") from error
    finally:
        listener.close()


@lru_cache(maxsize=8)
def _script(text: str) -> Any:
    return get_valkey().register_script(text)


def run_script(text: str, keys: list[str], arguments: list[Any]) -> Any:
    """Run a script of ours in one trip; it is sent once, then known by its hash."""
    return _script(text)(keys=keys, args=arguments, client=get_valkey())


def fresh_epoch() -> str:
    """Answer a name that no epoch had."""
    return secrets.token_hex(8)


def text_of(value: Any) -> str:
    """Answer what Valkey said as text."""
    return value.decode() if isinstance(value, bytes) else str(value)
