"""Signing a firm up."""

from http import HTTPStatus
from typing import Any
from uuid import UUID

from flask import request
from flask.views import MethodView
from marshmallow import Schema, fields

from core.identity.signup import sign_up, tenant_document
from core.ids import PLATFORM
from core.jobs.waiting import wait_for_job
from core.tenancy.session import open_platform_session
from web.api.fields import PasswordText, Strict
from web.api.reading import Blueprint
from web.api.security import PUBLIC, requires

blueprint = Blueprint("tenants", __name__, url_prefix="/tenants", description="Firms.")


class SignUpBody(Strict):
    """A new firm and its first admin."""

    name = fields.String(required=True)
    subdomain = fields.String(required=True)
    admin_email = fields.String(required=True)
    admin_username = fields.String(required=True)
    admin_password = PasswordText()


class SignedUpSchema(Schema):
    """The firm and its admin."""

    tenant = fields.Dict(required=True)
    user = fields.Dict(required=True)


@blueprint.route("")
class Tenants(MethodView):
    """Signing up."""

    @requires(PUBLIC)
    @blueprint.arguments(SignUpBody)
    @blueprint.response(201, SignedUpSchema)
    @blueprint.alt_response(202, schema=SignedUpSchema, success=True)
    def post(self, body: dict[str, Any]) -> tuple[dict[str, Any], HTTPStatus]:
        """Sign a firm up: 201 once it is ready, 202 where that takes longer than ten seconds."""
        made = sign_up(**body, address=request.remote_addr)
        status = wait_for_job(PLATFORM, made.job_id)
        with open_platform_session() as session:
            tenant = tenant_document(session, tenant_id=UUID(made.tenant["id"]))
        answer = {"tenant": tenant, "user": made.user.as_document()}
        return answer, HTTPStatus.CREATED if status == "succeeded" else HTTPStatus.ACCEPTED
