"""Signing in and out, and joining a firm."""

from datetime import UTC, datetime
from typing import Any

from flask import Response, jsonify, request
from flask.views import MethodView
from marshmallow import Schema, fields

from core.errors import UnauthenticatedError
from core.identity import authentication, links, registration
from core.identity.authentication import SignedIn
from core.identity.principal import Principal
from core.settings import get_settings
from web.api.fields import PasswordText, Strict
from web.api.reading import Blueprint
from web.api.security import PUBLIC, bearer_token, caller, named_tenant, requires

blueprint = Blueprint("authentication", __name__, description="Signing in and joining.")
REFRESH_COOKIE = "neozork_refresh"
# Any member may end their own login; every role holds this permission.
_ANY_MEMBER = "tenant:read"


class LoginBody(Strict):
    """Who signs in."""

    email = fields.String(required=True)
    password = PasswordText()


class RefreshBody(Strict):
    """A refresh token; browsers send it as their cookie."""

    refresh_token = fields.String(load_default=None, load_only=True)


class RegisterBody(Strict):
    """Who joins."""

    email = fields.String(required=True)
    username = fields.String(required=True)
    password = PasswordText()
    first_name = fields.String(load_default=None)
    last_name = fields.String(load_default=None)
    role = fields.String(load_default=None)
    invitation_token = fields.String(load_default=None)


class PasswordBody(Strict):
    """A one-time link's token, and the password to set."""

    token = fields.String(required=True, load_only=True)
    password = PasswordText()


class SignedInSchema(Schema):
    """Tokens, and who they are for."""

    access_token = fields.String(required=True)
    token_type = fields.String(required=True)
    expires_in = fields.Integer(required=True, metadata={"description": "Seconds."})
    refresh_token = fields.String()
    user = fields.Dict(required=True)


def wants_cookie() -> bool:
    """Tell whether a browser's page asks, which gets its refresh token as a cookie alone."""
    return "Sec-Fetch-Site" in request.headers or REFRESH_COOKIE in request.cookies


def signed_in_response(signed_in: SignedIn) -> Response:
    """Answer tokens; the refresh token in a cookie for browsers, in the body for others."""
    document: dict[str, Any] = {
        "access_token": signed_in.access_token,
        "token_type": "bearer",
        "expires_in": signed_in.expires_in,
        "user": signed_in.user,
    }
    if not wants_cookie():
        return jsonify(document | {"refresh_token": signed_in.refresh_token})
    response = jsonify(document)
    _set_refresh_cookie(response, signed_in.refresh_token, signed_in.refresh_expires_at)
    return response


def _set_refresh_cookie(response: Response, token: str, expires_at: datetime) -> None:
    """Give a browser its refresh token, which it then sends to the routes beside this alone.

    In production a proxy speaks TLS for us, so that our own scheme says nothing.
    """
    response.set_cookie(
        REFRESH_COOKIE,
        token,
        expires=expires_at,
        path=request.path.rstrip("/").rsplit("/", maxsplit=1)[0],
        httponly=True,
        samesite="Strict",
        secure=request.is_secure or get_settings().in_production,
    )


def admin_who_registers() -> Principal | None:
    """Answer the caller where one is signed in: an admin may name a role."""
    if "Authorization" not in request.headers:
        return None
    return authentication.authenticate(bearer_token())


@blueprint.route("/auth/login")
class Login(MethodView):
    """Signing in."""

    @requires(PUBLIC)
    @blueprint.arguments(LoginBody)
    @blueprint.response(200, SignedInSchema)
    def post(self, body: dict[str, str]) -> Response:
        """Sign in with mail and password."""
        tenant = named_tenant()
        return signed_in_response(authentication.login(tenant, **body, address=request.remote_addr))


@blueprint.route("/auth/refresh")
class Refresh(MethodView):
    """Renewing tokens."""

    @requires(PUBLIC)
    @blueprint.arguments(RefreshBody, required=False)
    @blueprint.response(200, SignedInSchema)
    def post(self, body: dict[str, str | None]) -> Response:
        """Exchange a refresh token, once, for new tokens."""
        token = body.get("refresh_token") or request.cookies.get(REFRESH_COOKIE)
        if not token:
            raise UnauthenticatedError("Send the refresh token of a login.")
        return signed_in_response(authentication.refresh(token, tenant=named_tenant()))


@blueprint.route("/auth/logout")
class Logout(MethodView):
    """Signing out."""

    @requires(_ANY_MEMBER)
    @blueprint.arguments(RefreshBody, required=False)
    @blueprint.response(204)
    def post(self, body: dict[str, str | None]) -> Response:
        """End this login: its access and refresh tokens."""
        held = body.get("refresh_token") or request.cookies.get(REFRESH_COOKIE)
        authentication.logout(caller(), refresh_token=held)
        response = Response(status=204)
        _set_refresh_cookie(response, "", datetime.fromtimestamp(0, UTC))
        return response


@blueprint.route("/auth/password")
class Password(MethodView):
    """Setting a password by a one-time link."""

    @requires(PUBLIC)
    @blueprint.arguments(PasswordBody)
    @blueprint.response(204)
    def post(self, body: dict[str, str]) -> None:
        """Set a password with a one-time link's token; every login of before ends."""
        links.set_password(**body)


@blueprint.route("/auth/register")
@blueprint.route("/users/register")
class Register(MethodView):
    """Joining."""

    @requires(PUBLIC)
    @blueprint.arguments(RegisterBody)
    @blueprint.response(201)
    def post(self, body: dict[str, Any]) -> dict[str, Any]:
        """Join a firm by its invitation, or where it lets people join."""
        member = registration.register(
            named_tenant(), **body, by=admin_who_registers(), address=request.remote_addr
        )
        return member.as_document()
