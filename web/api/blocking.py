"""What waits, done so that others go on: beside the event loop, or several things together."""

import sys
from collections.abc import Callable, Sequence
from contextvars import copy_context
from importlib import import_module
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


def off_loop(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Call a function that blocks on disk or computes, in gevent's pool of real threads.

    Outside gevent (tests, the development server) it is called as it is.
    """
    if not _under_gevent():
        return function(*args, **kwargs)
    outcome: R | Exception = (
        import_module("gevent").get_hub().threadpool.apply(_outcome, (function, args, kwargs))
    )
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


def together(calls: Sequence[Callable[[], Any]]) -> list[Any]:
    """Make several calls that wait for others, each while the others wait; answer in their order.

    Outside gevent one after the other. What one raises is raised, the first first.
    """
    if not _under_gevent():
        return [call() for call in calls]
    gevent = import_module("gevent")
    begun = [gevent.spawn(copy_context().run, call) for call in calls]
    return [greenlet.get() for greenlet in begun]


def _under_gevent() -> bool:
    monkey = sys.modules.get("gevent.monkey")
    return monkey is not None and bool(monkey.is_module_patched("threading"))


def _outcome(
    function: Callable[..., R], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> R | Exception:
    """Answer what a call answers or raises: gevent's pool prints what is raised in it."""
    try:
        return function(*args, **kwargs)
    except Exception as error:
        return error
