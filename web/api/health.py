"""Health: for load balancers and for people."""

from typing import Any

from flask import Response
from flask.views import MethodView
from flask_smorest import Blueprint
from marshmallow import Schema, fields

from core.errors import UnavailableError
from core.health import health, is_ready
from web.api.security import PUBLIC, requires

blueprint = Blueprint("health", __name__, url_prefix="/health", description="Health.")


class ServiceSchema(Schema):
    """One service."""

    status = fields.String(required=True, metadata={"description": "ok, error, not_configured"})


class HealthSchema(Schema):
    """All services."""

    database = fields.Nested(ServiceSchema, required=True)
    redis = fields.Nested(ServiceSchema, required=True)
    stripe = fields.Nested(ServiceSchema, required=True)
    storage = fields.Nested(ServiceSchema, required=True)


@blueprint.route("")
class Health(MethodView):
    """All services."""

    @requires(PUBLIC)
    @blueprint.response(200, HealthSchema)
    def get(self) -> dict[str, Any]:
        """Answer the status of each service."""
        return {service: {"status": status} for service, status in health().items()}


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
        if not is_ready(health()):
            raise UnavailableError("A service that requests need does not answer.")
        return Response(status=204)
