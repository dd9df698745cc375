"""Whether the services that the platform needs answer."""

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import redis

from core.errors import NeozorkError
from core.ids import PLATFORM
from core.jobs.heartbeats import alive
from core.jobs.kinds import QUEUES
from core.logging import get_logger
from core.storage.installed import installed_store
from core.storage.keys import tenant_key
from core.tenancy.roles import SET_CONFIG_ADVICE, may_set_config
from core.tenancy.session import PlatformSession, open_platform_session
from core.tenancy.upgrades import count_quarantined
from core.valkey import get_valkey
from core.wording import counted

Status = Literal["ok", "error", "not_configured"]
_NEEDED = ("database", "redis", "storage")
log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Service:
    """How a service fares; `message` says more, for operators only."""

    status: Status
    message: str = ""


def health(*, beside: Callable[[Callable[[], str]], str] = operator.call) -> dict[str, Service]:
    """Answer how each service fares: database, redis, stripe, storage; then our processes.

    `beside`: how to call what blocks a whole process that serves others meanwhile.
    """
    database, processes = _asked_of_database()
    return {
        "database": database,
        "redis": _asked("redis", _ask_valkey),
        "stripe": Service("not_configured", "Nothing is charged by this release."),
        "storage": _asked("storage", lambda: beside(_ask_storage)),
        **processes,
    }


def is_ready(services: dict[str, Service]) -> bool:
    """Tell whether requests can be answered: every service that they need is there."""
    return all(services[name].status == "ok" for name in _NEEDED)


def _asked(service: str, ask: Callable[[], str]) -> Service:
    try:
        return Service("ok", ask())
    except (NeozorkError, redis.RedisError) as error:
        log.warning("service_unhealthy", service=service, error=str(error))
        return Service("error", str(error))


def _asked_of_database() -> tuple[Service, dict[str, Service]]:
    """Answer how the database fares and, by their heartbeats, our processes; in one session."""
    try:
        with open_platform_session() as session:
            return Service("ok", _advice(session)), _processes(alive(session))
    except NeozorkError as error:
        log.warning("service_unhealthy", service="database", error=str(error))
        away = Service("error", str(error))
        return away, dict.fromkeys(("workers", "dispatcher", "scheduler"), away)


def _advice(session: PlatformSession) -> str:
    words = [SET_CONFIG_ADVICE] if may_set_config(session) else []
    if quarantined := count_quarantined(session):
        words.append(
            f"{counted(quarantined, 'tenant')} left alone with an old schema, as migrating failed: "
            "say neozork migrate --status."
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


def _ask_valkey() -> str:
    get_valkey().ping()
    return ""


def _ask_storage() -> str:
    installed_store().size(tenant_key(PLATFORM, "health", "probe"))
    return ""
