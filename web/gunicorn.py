"""gunicorn's configuration: gevent workers, so that streams and waits hold no thread."""

import gc
import os

bind = f"{os.environ.get('HOST') or '0.0.0.0'}:{os.environ.get('PORT', '8000')}"
worker_class = "gevent"
workers = int(os.environ.get("WEB_CONCURRENCY", "2"))
worker_connections = 1_000
timeout = 60
graceful_timeout = 10
keepalive = 15
control_socket_disable = True
accesslog = None
errorlog = "-"
loglevel = "warning"


def post_worker_init(_worker: object) -> None:
    """Close the event streams when the worker is told to stop, or it would wait for them."""
    from web.api.events import close_streams_on_sigterm

    close_streams_on_sigterm()
    # What was loaded stays: looking through it for garbage would stop everybody for 50 ms.
    gc.collect()
    gc.freeze()
