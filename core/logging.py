"""structlog for all processes: JSON for machines, colours at a terminal, one context.

`bind(request_id=…, tenant_id=…, job_id=…)` adds to every line that follows in this thread or
greenlet; a line never carries a password, token or card: `scrub` drops them by name.
"""

import logging
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

from core.settings import Settings

bind = structlog.contextvars.bind_contextvars
unbind_all = structlog.contextvars.clear_contextvars
bound = structlog.contextvars.bound_contextvars
what_is_bound = structlog.contextvars.get_contextvars

_SECRET_PARTS = ("password", "secret", "token", "authorization", "cookie", "api_key", "dsn", "card")
SCRUBBED = "[scrubbed]"


def scrub(value: Any) -> Any:
    """Answer the value with everything whose name sounds secret replaced, at any depth."""
    if isinstance(value, MutableMapping | dict):
        return {
            key: SCRUBBED
            if any(part in str(key).lower() for part in _SECRET_PARTS)
            else scrub(inner)
            for key, inner in value.items()
        }
    if isinstance(value, list | tuple):
        return [scrub(inner) for inner in value]
    return value


def _scrub_event(
    _logger: Any, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    scrubbed: MutableMapping[str, Any] = scrub(event)
    return scrubbed


def configure_logging(settings: Settings, process: str) -> None:
    """Send structlog and the standard library's loggers through one chain to standard error."""

    def name_process(
        _logger: Any, _method: str, line: MutableMapping[str, Any]
    ) -> MutableMapping[str, Any]:
        # What is bound is a thread's own; libraries speak from threads of theirs.
        line.setdefault("process", process)
        return line

    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        name_process,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        _scrub_event,
    ]
    console = settings.log_format == "console" or (
        settings.log_format == "auto" and sys.stderr.isatty()
    )
    renderer: Any = (
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
        if console
        else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.log_level.upper())


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """Answer a logger that speaks in events and keywords: `log.info("job_finished", kind=…)`."""
    logger: structlog.stdlib.BoundLogger = structlog.get_logger(name)
    return logger
