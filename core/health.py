"""Whether the services that the platform needs answer."""

from collections.abc import Callable
from typing import Literal

import redis
from sqlalchemy import func, select

from core.errors import NeozorkError
from core.ids import PLATFORM
from core.logging import get_logger
from core.settings import get_settings
from core.storage.installed import installed_store
from core.storage.keys import tenant_key
from core.tenancy.session import open_platform_session
from core.valkey import get_valkey

Status = Literal["ok", "error", "not_configured"]
_NEEDED = ("database", "redis", "storage")
log = get_logger(__name__)


def health() -> dict[str, Status]:
    """Answer the status of each service: database, redis, stripe, storage."""
    return {
        "database": _status("database", _ask_database),
        "redis": _status("redis", _ask_valkey),
        "stripe": "not_configured" if get_settings().stripe_secret_key is None else "ok",
        "storage": _status("storage", _ask_storage),
    }


def is_ready(statuses: dict[str, Status]) -> bool:
    """Tell whether requests can be answered: every service that they need is there."""
    return all(statuses[name] == "ok" for name in _NEEDED)


def _status(service: str, ask: Callable[[], object]) -> Status:
    try:
        ask()
    except (NeozorkError, redis.RedisError) as error:
        log.warning("service_unhealthy", service=service, error=str(error))
        return "error"
    return "ok"


def _ask_database() -> None:
    with open_platform_session() as session:
        session.execute(select(func.now()))


def _ask_valkey() -> None:
    get_valkey().ping()


def _ask_storage() -> None:
    installed_store().size(tenant_key(PLATFORM, "health", "probe"))
