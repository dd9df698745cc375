"""The process's connection to Valkey, which carries and never holds the truth."""

from functools import lru_cache

import redis

from core.settings import get_settings

_TIMEOUT_S = 2.0


@lru_cache(maxsize=1)
def get_valkey() -> redis.Redis:
    """Answer the process's client."""
    return open_client()


def open_client() -> redis.Redis:
    """Answer a client of its own; it connects at the first command, and gives up soon."""
    return redis.Redis.from_url(
        get_settings().required("redis_url"),
        socket_timeout=_TIMEOUT_S,
        socket_connect_timeout=_TIMEOUT_S,
    )


def open_listener() -> redis.Redis:
    """Answer a client of its own whose reads may wait: for subscribers."""
    return redis.Redis.from_url(
        get_settings().required("redis_url"), socket_connect_timeout=_TIMEOUT_S
    )
