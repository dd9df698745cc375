"""gunicorn's configuration: gevent workers, so that streams and waits hold no thread."""

import _thread
import gc
import os
import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

bind = f"{os.environ.get('HOST') or '0.0.0.0'}:{os.environ.get('PORT', '8000')}"
worker_class = "gevent"
workers = int(os.environ.get("WEB_CONCURRENCY", "2"))
worker_connections = 1_000
timeout = 60
graceful_timeout = 10
keepalive = 15
control_socket_disable = True
accesslog = errorlog = None
loglevel = "warning"
_TURN_S = 0.0005


def on_starting(server: Any) -> None:
    """Let gunicorn speak through our logging, here and in the workers; refuse what is set wrong."""
    from core.errors import ConfigurationError
    from core.logging import configure_logging
    from core.settings import get_settings

    try:
        configure_logging(get_settings(), "web")
    except ConfigurationError as error:
        sys.exit(f"neozork: {error.detail}")
    server.log.error_log.propagate = True
    # The workers of a reload read what is set by then.
    get_settings.cache_clear()


def post_worker_init(worker: Any) -> None:
    """Let go of streams and idle connections when told to stop, or the worker waits for them.

    And refuse what gunicorn cannot read as we refuse everything else.
    """
    from gunicorn import util

    from web.api.events import close_streams
    from web.idle import IdleConnections
    from web.unread import named, refuse_unread

    util.write_error = refuse_unread
    worker.handle_error = named(worker.handle_error)
    idle = IdleConnections(worker.cfg.keepalive)
    worker.timeout_ctx = idle.waiting
    _on_sigterm(close_streams, idle.let_go)
    # What was loaded stays: looking through it for garbage would stop everybody for 50 ms.
    gc.collect()
    gc.freeze()
    # What is done beside the loop must not wait 5 ms for each of its turns while the loop is busy.
    sys.setswitchinterval(_TURN_S)


def _on_sigterm(*steps: Callable[[], None]) -> None:
    before = signal.getsignal(signal.SIGTERM)

    def stop(number: int, frame: FrameType | None) -> None:
        # Not here: what the signal interrupted may hold a lock that a step needs.
        for step in steps:
            _thread.start_new_thread(step, ())
        if callable(before):
            before(number, frame)

    signal.signal(signal.SIGTERM, stop)
