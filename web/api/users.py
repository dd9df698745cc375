"""The people of a firm."""

from typing import Any
from uuid import UUID

from flask.views import MethodView
from marshmallow import fields

from core.identity import members, places
from core.tenancy.session import open_platform_session
from web.api.fields import Flag, PageArguments, PageOf, Strict
from web.api.reading import Blueprint
from web.api.security import caller, requires, tenant_id

blueprint = Blueprint("users", __name__, url_prefix="/users", description="The people of a firm.")


class NewUserBody(Strict):
    """Somebody to add."""

    email = fields.String(required=True)
    username = fields.String(load_default=None)
    first_name = fields.String(load_default=None)
    last_name = fields.String(load_default=None)
    role = fields.String(load_default="user")
    permissions = fields.List(fields.String(), load_default=list)


class MembershipBody(Strict):
    """What of a membership changes; a person's mail and password are their own."""

    role = fields.String()
    permissions = fields.List(fields.String())
    is_active = Flag()


@blueprint.route("/")
class Users(MethodView):
    """The list."""

    @requires("users:read")
    @blueprint.arguments(PageArguments, location="query")
    @blueprint.response(200, PageOf)
    def get(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """List the firm's people, oldest first."""
        with open_platform_session() as session:
            items, total, following = members.list_members(
                session, tenant_id=tenant_id(), **arguments
            )
        return {
            "items": [member.as_document() for member in items],
            "total_count": total,
            "has_more": following is not None,
            "next_cursor": following,
        }

    @requires("users:write")
    @blueprint.arguments(NewUserBody)
    @blueprint.response(201)
    def post(self, body: dict[str, Any]) -> dict[str, Any]:
        """Add somebody; the answer carries a one-time link to hand to them, shown once."""
        with open_platform_session() as session:
            added = places.add_member(session, tenant_id=tenant_id(), by=caller().user_id, **body)
            member = (
                members.find_member(
                    session, tenant_id=tenant_id(), user_id=added.user_id
                ).as_document()
                if added.user_id is not None
                else None
            )
        return {"user": member, "path": added.path}


@blueprint.route("/<uuid:user_id>")
class OneUser(MethodView):
    """One person."""

    @requires("users:read")
    @blueprint.response(200)
    def get(self, user_id: UUID) -> dict[str, Any]:
        """Answer one of the firm's people."""
        with open_platform_session() as session:
            return members.find_member(
                session, tenant_id=tenant_id(), user_id=user_id
            ).as_document()

    @requires("users:write")
    @blueprint.arguments(MembershipBody)
    @blueprint.response(200)
    def put(self, body: dict[str, Any], user_id: UUID) -> dict[str, Any]:
        """Change a membership."""
        with open_platform_session() as session:
            return members.update_member(
                session, tenant_id=tenant_id(), user_id=user_id, by=caller().user_id, **body
            ).as_document()

    @requires("users:write")
    @blueprint.response(204)
    def delete(self, user_id: UUID) -> None:
        """End a membership; the person stays."""
        with open_platform_session() as session:
            members.remove_member(
                session, tenant_id=tenant_id(), user_id=user_id, by=caller().user_id
            )
