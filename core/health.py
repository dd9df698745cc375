"""Whether the services that the platform needs answer."""

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import redis
from sqlalchemy import func, select

from core.errors import NeozorkError
from core.ids import PLATFORM
from core.jobs.heartbeats import ALIVE
from core.jobs.kinds import QUEUES
from core.logging import get_logger
from core.storage.installed import installed_store
from core.storage.keys import tenant_key
from core.tenancy.models import TenantSchema
from core.tenancy.roles import MAY_SET_CONFIG, SET_CONFIG_ADVICE
from core.tenancy.session import run_as
from core.valkey import get_valkey
from core.wording import counted

Status = Literal["ok", "error", "not_configured"]
log = get_logger(__name__)

_living = ALIVE.subquery()
_STANDS = select(
    MAY_SET_CONFIG.label("may_set_config"),
    select(func.count())
    .where(TenantSchema.quarantined_at.is_not(None))
    .scalar_subquery()
    .label("quarantined"),
    select(func.jsonb_object_agg(_living.c.name, _living.c.count))
    .scalar_subquery()
    .label("living"),
)


def _in_turn(calls: Sequence[Callable[[], Any]]) -> Sequence[Any]:
    return [call() for call in calls]


@dataclass(frozen=True, slots=True)
class Service:
    """How a service fares; `message` says more, for operators only."""

    status: Status
    message: str = ""


def health(
    *,
    beside: Callable[[Callable[[], str]], str] = operator.call,
    together: Callable[[Sequence[Callable[[], Any]]], Sequence[Any]] = _in_turn,
) -> dict[str, Service]:
    """Answer how each service fares: database, redis, stripe, storage; then our processes.

    `beside`: how to call what blocks a whole process that serves others meanwhile. `together`: how
    to make several calls that wait.
    """
    (database, processes), redis_, storage = together(
        (
            _asked_of_database,
            _asked_of_valkey,
            lambda: _asked("storage", lambda: beside(_ask_storage)),
        )
    )
    return {
        "database": database,
        "redis": redis_,
        "stripe": Service("not_configured", "Nothing is charged by this release."),
        "storage": storage,
        **processes,
    }


def is_ready(
    together: Callable[[Sequence[Callable[[], Any]]], Sequence[Any]] = _in_turn,
) -> bool:
    """Tell whether requests can be answered: what nearly all of them need is there.

    The storage is not asked: it is away from all instances alike, and most requests need none.
    """
    (database, _), redis_ = together((_asked_of_database, _asked_of_valkey))
    return bool(database.status == redis_.status == "ok")


def _asked(service: str, ask: Callable[[], str]) -> Service:
    try:
        return Service("ok", ask())
    except (NeozorkError, redis.RedisError) as error:
        log.warning("service_unhealthy", service=service, error=str(error))
        return Service("error", str(error))


def _asked_of_database() -> tuple[Service, dict[str, Service]]:
    """Answer how the database fares and, by their heartbeats, our processes; in one trip."""
    try:
        (stands,) = run_as(PLATFORM, _STANDS, {})
        return Service("ok", _advice(stands)), _processes(stands.living or {})
    except NeozorkError as error:
        log.warning("service_unhealthy", service="database", error=str(error))
        away = Service("error", str(error))
        return away, dict.fromkeys(("workers", "dispatcher", "scheduler"), away)


def _advice(stands: Any) -> str:
    words = [SET_CONFIG_ADVICE] if stands.may_set_config else []
    if stands.quarantined:
        words.append(
            f"{counted(stands.quarantined, 'tenant')} left alone with an old schema, as migrating "
            "failed: say neozork migrate --status."
        )
    return " ".join(words)


def _processes(living: Mapping[str, int]) -> dict[str, Service]:
    units = ", ".join(f"{queue}: {living.get(queue, 0)}" for queue in QUEUES)
    idle = [queue for queue in QUEUES if not living.get(queue)]
    dead = "None was seen alive in the last ten seconds; start one."
    return {
        "workers": Service("error" if idle else "ok", f"Units by queue: {units}."),
        **{
            name: Service("ok", f"{living[name]} alive.")
            if living.get(name)
            else Service("error", dead)
            for name in ("dispatcher", "scheduler")
        },
    }


def _asked_of_valkey() -> Service:
    return _asked("redis", _ask_valkey)


def _ask_valkey() -> str:
    get_valkey().ping()
    return ""


def _ask_storage() -> str:
    installed_store().size(tenant_key(PLATFORM, "health", "probe"))
    return ""
