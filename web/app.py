"""The Flask application: routes, request ids, headers; every answer of it is JSON or a stream."""

import re
import secrets
import time
from importlib import import_module

from flask import Flask, Response, g, request
from flask.json.provider import DefaultJSONProvider

from core.logging import bind, configure_logging, get_logger, unbind_all
from core.settings import get_settings
from core.telemetry import start_telemetry
from web.api.hub import HUB
from web.api.problems import ProblemApi, register_problems
from web.api.spooling import ApiRequest

API_PREFIX = "/api/v1"
TENANT_PREFIX = f"{API_PREFIX}/tenants/<tenant>"
LARGEST_JSON = 262_144
_REQUEST_ID = re.compile(r"[A-Za-z0-9-]{1,64}")
PLATFORM_NOUNS = ("tenants", "operators", "health", "plans", "docs")
TENANT_NOUNS = (
    "authentication",
    "users",
    "strategies",
    "data",
    "backtests",
    "sweeps",
    "jobs",
    "events",
)
log = get_logger(__name__)


class InOrder(DefaultJSONProvider):
    """Flask's JSON, with keys in the order in which we wrote them."""

    sort_keys = False


def create_app() -> Flask:
    """Make the application of one web process."""
    settings = get_settings()
    configure_logging(settings, "web")
    start_telemetry(settings, "web")
    app = Flask(__name__, static_folder=None)
    app.request_class = ApiRequest
    # A redirect would name the host and scheme that a proxy shows us, and clients drop their
    # Authorization on the way.
    app.url_map.redirect_defaults = app.url_map.strict_slashes = app.url_map.merge_slashes = False
    app.json = InOrder(app)
    app.config.update(
        API_TITLE="NeoZork",
        API_VERSION="v1",
        OPENAPI_VERSION="3.1.0",
        OPENAPI_URL_PREFIX=API_PREFIX,
        OPENAPI_JSON_PATH="openapi.json",
        MAX_CONTENT_LENGTH=LARGEST_JSON,
        MAX_FORM_MEMORY_SIZE=LARGEST_JSON,
        PROPAGATE_EXCEPTIONS=False,
    )
    _register_requests(app)
    _register_routes(app)
    register_problems(app)
    return app


def _register_routes(app: Flask) -> None:
    api = ProblemApi(app, spec_kwargs=_SPEC)
    for noun in PLATFORM_NOUNS:
        blueprint = import_module(f"web.api.{noun}").blueprint
        api.register_blueprint(blueprint, url_prefix=f"{API_PREFIX}{blueprint.url_prefix or ''}")
    for noun in TENANT_NOUNS:
        blueprint = import_module(f"web.api.{noun}").blueprint
        api.register_blueprint(blueprint, url_prefix=f"{TENANT_PREFIX}{blueprint.url_prefix or ''}")
    _answer_without_tenant(app)


_SPEC = {
    "info": {
        "description": "Trading research one can trust, as a service. Errors are problem "
        "documents (RFC 9457) with a stable `code`.",
        "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
    },
    "components": {
        "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}}
    },
}


def _answer_without_tenant(app: Flask) -> None:
    """Let every tenant route answer without its prefix too: another signal names the tenant."""
    for rule in list(app.url_map.iter_rules()):
        if rule.rule.startswith(f"{TENANT_PREFIX}/"):
            app.add_url_rule(
                API_PREFIX + rule.rule.removeprefix(TENANT_PREFIX),
                endpoint=rule.endpoint,
                methods=(rule.methods or set()) - {"OPTIONS"},  # Flask answers these itself
            )


def _register_requests(app: Flask) -> None:
    @app.url_value_preprocessor
    def take_tenant(_endpoint: str | None, values: dict[str, str] | None) -> None:
        g.tenant_in_path = values.pop("tenant", None) if values else None

    @app.before_request
    def begin() -> None:
        unbind_all()
        given = request.headers.get("X-Request-ID", "")
        g.request_id = given if _REQUEST_ID.fullmatch(given) else secrets.token_hex(8)
        g.started = time.perf_counter()
        HUB.requests += 1
        bind(request_id=g.request_id)

    @app.teardown_request
    def end(_error: BaseException | None) -> None:
        if "started" in g:
            HUB.requests -= 1

    @app.after_request
    def finish(response: Response) -> Response:
        response.headers["X-Request-ID"] = g.get("request_id", "")
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers.setdefault("Cache-Control", "no-store")
        response.headers.setdefault("Content-Security-Policy", "default-src 'none'")
        log.info(
            "request",
            method=request.method,
            path=request.path,
            status=response.status_code,
            ms=round((time.perf_counter() - g.get("started", 0.0)) * 1000, 1),
        )
        return response
