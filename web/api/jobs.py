"""Jobs: look, search, cancel, try again, let go."""

from typing import Any
from uuid import UUID

from flask.views import MethodView
from marshmallow import Schema, fields, validate

from core.errors import Fault, InvalidInputError
from core.jobs import control, dead_letters
from core.jobs.control import JobFilter
from core.jobs.dead_letters import MOST_AT_ONCE
from core.jobs.kinds import PART_KINDS, TENANT_KINDS
from core.jobs.models import STATUSES
from core.jobs.tending import announce_moved
from core.tenancy.session import open_session
from web.api.fields import Choice, Flag, Moment, PageArguments, PageOf, page_document
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


class ChosenSchema(Schema):
    """Which jobs: those that match everything that is given."""

    kind = Choice(TENANT_KINDS)
    error_code = fields.String(metadata={"description": "The `code` of the job's error."})
    created_from = Moment(metadata={"description": "Counts itself."})
    created_to = Moment(metadata={"description": "Does not count itself."})


class JobsArguments(PageArguments, ChosenSchema):
    """Which jobs to list."""

    kind = Choice(
        (*TENANT_KINDS, *PART_KINDS),
        metadata={"description": "That of parts only beside their `parent_id`."},
    )
    status = Choice(STATUSES)
    parent_id = fields.UUID(metadata={"description": "List the parts of this job."})


class FailedSchema(ChosenSchema):
    """Which failed jobs: those that match everything that is given, or `all`, said alone."""

    ids = fields.List(fields.UUID(), validate=validate.Length(max=MOST_AT_ONCE))
    all = Flag(metadata={"description": "true: every failed job of the firm."})


class MovedSchema(Schema):
    """What was done, to at most 1,000 jobs at a time; ask again for the rest."""

    ids = fields.List(fields.UUID(), required=True)
    count = fields.Integer(required=True)


@blueprint.route("/")
class Jobs(MethodView):
    """The list."""

    @requires("jobs:read")
    @blueprint.arguments(JobsArguments, location="query")
    @blueprint.response(200, JobPage)
    def get(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """List jobs, newest first; the parts of one by its `parent_id`."""
        page = {name: arguments.pop(name) for name in ("limit", "cursor")}
        with open_session(tenant_id()) as session:
            jobs = control.list_jobs(session, chosen=JobFilter(**arguments), **page)
            return page_document(jobs, control.job_document)


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
            job = dead_letters.retry_job(session, job_id)
        control.announce_job(job)
        return control.job_document(job)


@blueprint.route("/<uuid:job_id>/discard")
class DiscardJob(MethodView):
    """Letting go."""

    @requires("jobs:retry")
    @blueprint.response(200, JobSchema)
    def post(self, job_id: UUID) -> dict[str, Any]:
        """Let a failed job go: it counts as cancelled, and keeps its error."""
        with open_session(tenant_id()) as session:
            job = dead_letters.discard_job(session, job_id)
        control.announce_job(job)
        return control.job_document(job)


@blueprint.route("/retry")
class RetryFailed(MethodView):
    """Trying many again."""

    @requires("jobs:retry")
    @blueprint.arguments(FailedSchema)
    @blueprint.response(200, MovedSchema)
    def post(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Queue failed jobs again, the oldest first: those that are chosen, or all."""
        chosen = _chosen(asked)
        with open_session(tenant_id()) as session:
            ids = dead_letters.retry_failed(session, chosen)
            moved = control.jobs_by_id(session, ids)
        announce_moved(moved)
        return {"ids": ids, "count": len(ids)}


@blueprint.route("/discard")
class DiscardFailed(MethodView):
    """Letting many go."""

    @requires("jobs:retry")
    @blueprint.arguments(FailedSchema)
    @blueprint.response(200, MovedSchema)
    def post(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Let failed jobs go, the oldest first: those that are chosen, or all."""
        chosen = _chosen(asked)
        with open_session(tenant_id()) as session:
            ids = dead_letters.discard_failed(session, chosen)
            moved = control.jobs_by_id(session, ids)
        announce_moved(moved)
        return {"ids": ids, "count": len(ids)}


def _chosen(asked: dict[str, Any]) -> JobFilter:
    everything = asked.pop("all", False)
    if everything == bool(asked):
        what = "Beside all, nothing can be chosen." if everything else "No job is chosen."
        hint = 'Send some of ids, kind, error_code, created_from and created_to, or {"all": true}.'
        fault = Fault("", "choice_needed", what, hint)
        raise InvalidInputError(f"Nothing was done. {what}", errors=[fault])
    return JobFilter(**asked)
