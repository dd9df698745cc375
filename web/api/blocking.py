"""Work that would stop the event loop, done beside it."""

import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


def off_loop(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Call a function that blocks on disk or computes, in gevent's pool of real threads.

    Outside gevent (tests, the development server) it is called as it is.
    """
    monkey = sys.modules.get("gevent.monkey")
    if monkey is None or not monkey.is_module_patched("threading"):
        return function(*args, **kwargs)
    outcome: R | Exception = (
        import_module("gevent").get_hub().threadpool.apply(_outcome, (function, args, kwargs))
    )
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


def _outcome(
    function: Callable[..., R], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> R | Exception:
    """Answer what a call answers or raises: gevent's pool prints what is raised in it."""
    try:
        return function(*args, **kwargs)
    except Exception as error:
        return error
