"""Operators of the platform: signing in."""

from flask import Response, request
from flask.views import MethodView

from core.identity import authentication
from web.api.authentication import LoginBody, SignedInSchema, signed_in_response
from web.api.reading import Blueprint
from web.api.security import PUBLIC, requires

blueprint = Blueprint("operators", __name__, url_prefix="/admin", description="Operators.")


@blueprint.route("/auth/login")
class OperatorLogin(MethodView):
    """Signing in."""

    @requires(PUBLIC)
    @blueprint.arguments(LoginBody)
    @blueprint.response(200, SignedInSchema)
    def post(self, body: dict[str, str]) -> Response:
        """Sign an operator in with mail and password."""
        return signed_in_response(
            authentication.login_operator(**body, address=request.remote_addr)
        )
