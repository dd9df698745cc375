"""Connections: one small pool per process and login, each statement alone on the wire."""

import logging
import time
from functools import cache
from typing import Any, TypeVar

import psycopg
from psycopg.abc import PQGen
from psycopg.waiting import Ready, Wait
from sqlalchemy import Engine, NullPool, create_engine, event

from core.settings import get_settings
from core.tenancy.roles import app_database_url

_RECYCLE_AFTER_S = 1_800
_CONNECT_TIMEOUT_S = 5
_WAIT_FOR_CONNECTION_S = 10
# A server that vanished, or a proxy that forgot us, closes nothing: TCP alone waits for ever. Of
# what we ask through sessions nothing takes so long.
ANSWERS_WITHIN_S = 15.0
_WAKE_EVERY_S = 0.1
# A statement of a pipeline, and that no more follows.
_SENT_AT_ONCE = 2

T = TypeVar("T")


def _is_news(line: logging.LogRecord) -> bool:
    return not str(line.msg).startswith("error ignored terminating")


# Of a connection that is lost while a pipeline sends, psycopg tells a second time as it leaves the
# pipeline; the error itself is raised, and told by whoever it reaches.
logging.getLogger("psycopg").addFilter(_is_news)


class ImpatientConnection(psycopg.Connection[Any]):
    """Gives up what is not answered in time, and itself with it."""

    def wait(
        self, gen: PQGen[T], interval: float = _WAKE_EVERY_S, timeout: float | None = None
    ) -> T:
        """Run one exchange with the server; OperationalError where it does not answer."""
        began = time.monotonic()
        try:
            patience = ANSWERS_WITHIN_S if timeout is None else timeout
            return super().wait(_sending_at_once(gen), interval, patience)
        except psycopg.OperationalError:
            if time.monotonic() - began >= ANSWERS_WITHIN_S:
                self.close()
            raise


def _sending_at_once(gen: PQGen[T]) -> PQGen[T]:
    """Send what is to be sent, and wait for what is not.

    A pipeline waits for room before and after each of its statements; sending finds out as well,
    and under gevent each wait, however short, lets all others come first.
    """
    try:
        wanted = next(gen)
        for _ in range(_SENT_AT_ONCE):
            if wanted == Wait.RW:
                wanted = gen.send(Ready.W)
        while True:
            wanted = gen.send((yield wanted))
    except StopIteration as end:
        answer: T = end.value
        return answer


class ExtendedCursor(psycopg.Cursor[Any]):
    """Sends every statement by the extended protocol, which refuses a second one behind it.

    psycopg sends a statement without parameters by the simple protocol, where
    `select 1; set role …` succeeds.
    """

    def _execute_send(
        self, query: Any, *, force_extended: bool = True, binary: bool | None = None
    ) -> None:
        del force_extended
        super()._execute_send(query, force_extended=True, binary=binary)


@cache
def engine_for(url: str, pool_size: int) -> Engine:
    """Answer the process's engine for a login; safe behind a transaction-mode PgBouncer.

    Backends grow with each tenant that they touch: the pool is small and recycled.
    """
    engine = create_engine(
        url,
        pool_size=pool_size,
        max_overflow=pool_size,
        pool_timeout=_WAIT_FOR_CONNECTION_S,
        pool_recycle=_RECYCLE_AFTER_S,
        pool_use_lifo=True,
        connect_args={
            "cursor_factory": ExtendedCursor,
            # Sessions say BEGIN themselves: psycopg would wait for what its own is answered.
            "autocommit": True,
            "prepare_threshold": None,
            "connect_timeout": _CONNECT_TIMEOUT_S,
        },
    )
    event.listen(engine, "do_connect", _connect)
    return engine


def _connect(_dialect: Any, _record: Any, args: Any, more: dict[str, Any]) -> ImpatientConnection:
    return ImpatientConnection.connect(*args, **more)


def app_engine() -> Engine:
    """Answer the engine of the login role, which all sessions use."""
    settings = get_settings()
    return engine_for(app_database_url(settings), settings.database_pool_size)


def owner_engine() -> Engine:
    """Answer an engine of the owner, without a pool: for `migrate` and provisioning alone."""
    return create_engine(
        get_settings().required("database_url"),
        poolclass=NullPool,
        connect_args={"connect_timeout": _CONNECT_TIMEOUT_S},
    )
