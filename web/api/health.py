"""Health: for load balancers and for people."""

from dataclasses import asdict
from typing import Any

from flask import Response, request
from flask.views import MethodView
from marshmallow import Schema, fields

from core.errors import NeozorkError, UnavailableError
from core.health import health, is_ready
from core.identity.authentication import authenticate
from core.identity.roles import OPERATOR_ROLE
from web.api.blocking import off_loop, together
from web.api.reading import Blueprint
from web.api.security import PUBLIC, bearer_token, requires

blueprint = Blueprint("health", __name__, url_prefix="/health", description="Health.")


class ServiceSchema(Schema):
    """One service."""

    status = fields.String(required=True, metadata={"description": "ok, error, not_configured"})
    message = fields.String(metadata={"description": "For operators of the platform alone."})


class HealthSchema(Schema):
    """All services."""

    database = fields.Nested(ServiceSchema, required=True)
    redis = fields.Nested(ServiceSchema, required=True)
    stripe = fields.Nested(ServiceSchema, required=True)
    storage = fields.Nested(ServiceSchema, required=True)
    workers = fields.Nested(ServiceSchema, required=True)
    dispatcher = fields.Nested(ServiceSchema, required=True)
    scheduler = fields.Nested(ServiceSchema, required=True)


@blueprint.route("")
class Health(MethodView):
    """All services."""

    @requires(PUBLIC)
    @blueprint.response(200, HealthSchema)
    def get(self) -> dict[str, Any]:
        """Answer the status of each service, and of our own processes by their heartbeats."""
        services = health(beside=off_loop, together=together)
        if _is_operator():
            return {name: asdict(service) for name, service in services.items()}
        return {name: {"status": service.status} for name, service in services.items()}


@blueprint.route("/live")
class Live(MethodView):
    """The process itself."""

    @requires(PUBLIC)
    @blueprint.response(204)
    def get(self) -> None:
        """Answer that this process answers."""


@blueprint.route("/ready")
class Ready(MethodView):
    """Whether to send requests here."""

    @requires(PUBLIC)
    @blueprint.response(204)
    def get(self) -> Response:
        """Answer 204 once requests can be answered, 503 before."""
        if not is_ready(together):
            raise UnavailableError("A service that requests need does not answer.")
        return Response(status=204)


def _is_operator() -> bool:
    """Tell whether an operator asks; whoever cannot be told gets what everybody gets."""
    if "Authorization" not in request.headers:
        return False
    try:
        return authenticate(bearer_token()).role == OPERATOR_ROLE
    except NeozorkError:
        return False
