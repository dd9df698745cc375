"""Jobs: look, list, cancel, try again."""

from typing import Any
from uuid import UUID

from flask.views import MethodView
from marshmallow import Schema, fields, validate

from core.jobs import control
from core.jobs.models import STATUSES
from core.tenancy.session import open_session
from web.api.fields import PageArguments, PageOf, page_document
from web.api.reading import Blueprint
from web.api.security import requires, tenant_id

blueprint = Blueprint("jobs", __name__, url_prefix="/jobs", description="Background work.")


class JobSchema(Schema):
    """A job."""

    id = fields.UUID(required=True)
    kind = fields.String(required=True)
    status = fields.String(required=True, validate=validate.OneOf(STATUSES))
    progress = fields.Float(required=True, metadata={"description": "0…1"})
    message = fields.String(allow_none=True)
    attempt = fields.Integer(required=True)
    error = fields.Dict(allow_none=True, metadata={"description": "A problem document."})
    created_at = fields.String(required=True)
    started_at = fields.String(allow_none=True)
    finished_at = fields.String(allow_none=True)


class JobPage(PageOf):
    """A page of jobs."""

    items = fields.List(fields.Nested(JobSchema), required=True)


class JobsArguments(PageArguments):
    """Which jobs."""

    status = fields.String(load_default=None, validate=validate.OneOf(STATUSES))
    kind = fields.String(load_default=None)


@blueprint.route("/")
class Jobs(MethodView):
    """The list."""

    @requires("jobs:read")
    @blueprint.arguments(JobsArguments, location="query")
    @blueprint.response(200, JobPage)
    def get(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """List jobs, newest first."""
        with open_session(tenant_id()) as session:
            return page_document(control.list_jobs(session, **arguments), control.job_document)


@blueprint.route("/<uuid:job_id>")
class OneJob(MethodView):
    """One job."""

    @requires("jobs:read")
    @blueprint.response(200, JobSchema)
    def get(self, job_id: UUID) -> dict[str, Any]:
        """Answer a job as it stands."""
        with open_session(tenant_id()) as session:
            return control.job_document(control.get_job(session, job_id))


@blueprint.route("/<uuid:job_id>/cancel")
class CancelJob(MethodView):
    """Cancelling."""

    @requires("jobs:cancel")
    @blueprint.response(200, JobSchema)
    def post(self, job_id: UUID) -> dict[str, Any]:
        """Cancel a job that is not finished; what runs stops within a second."""
        with open_session(tenant_id()) as session:
            job = control.cancel_job(session, job_id)
        control.announce_job(job)
        return control.job_document(job)


@blueprint.route("/<uuid:job_id>/retry")
class RetryJob(MethodView):
    """Trying again."""

    @requires("jobs:retry")
    @blueprint.response(200, JobSchema)
    def post(self, job_id: UUID) -> dict[str, Any]:
        """Queue a failed or cancelled job again."""
        with open_session(tenant_id()) as session:
            job = control.retry_job(session, job_id)
        control.announce_job(job)
        return control.job_document(job)
