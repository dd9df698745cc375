"""Sentry for the three processes, where a DSN is set; it never sees a secret or a body."""

from typing import Any

import sentry_sdk

from core.logging import scrub
from core.settings import Settings


def _scrub_event(event: Any, _hint: dict[str, Any]) -> Any:
    request = event.get("request")
    if request:
        request.pop("data", None)
        request.pop("cookies", None)
    return scrub(event)


def start_telemetry(settings: Settings, process: str) -> bool:
    """Start sentry-sdk for this process and answer whether it reports anywhere."""
    if settings.sentry_dsn is None:
        return False
    sentry_sdk.init(
        dsn=settings.sentry_dsn,
        environment=settings.environment,
        server_name=process,
        send_default_pii=False,
        include_local_variables=False,
        max_request_body_size="never",
        before_send=_scrub_event,
        traces_sample_rate=0.0,
    )
    sentry_sdk.set_tag("process", process)
    return True
