"""Market data: files of bars, read by a job that certifies them."""

import functools
import hashlib
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, cast
from uuid import UUID

from flask import Response, request
from flask.views import MethodView
from marshmallow import Schema, fields
from werkzeug.datastructures import FileStorage

from core.errors import Fault, InvalidInputError, NeozorkError, UnavailableError
from core.jobs.models import STATUSES
from core.plans import TRIAL_TIER, plan_of
from core.storage.installed import installed_store
from core.tenancy.session import TenantSession, open_session
from core.trading.requests import uploads
from core.trading.requests.uploads import Upload
from web.api.blocking import off_loop
from web.api.fields import Choice, PageArguments, PageOf, Strict, page_document
from web.api.reading import Blueprint
from web.api.security import caller, requires, tenant_id
from web.api.session import REPLAYED, Answer, create_once, idempotent
from web.api.spooling import Spool

blueprint = Blueprint("data", __name__, url_prefix="/trading/data", description="Market data.")
_MB = 1_000_000
_FORM_OVERHEAD = 100_000
P = ParamSpec("P")
R = TypeVar("R")


class UploadForm(Strict):
    """A file of bars, and how it is to be read."""

    file = fields.Raw(
        required=True,
        metadata={"type": "string", "format": "binary", "description": "CSV or Parquet."},
    )
    symbol = fields.String(required=True)
    timeframe = fields.String(required=True)
    name = fields.String(load_default=None)
    timezone = fields.String(
        load_default=None, metadata={"description": "IANA name, for times without an offset."}
    )
    stamp = fields.String(load_default="open", metadata={"description": "open or close"})
    lot = fields.Float(load_default=0.0, metadata={"description": "0: fractions."})


class AcceptedSchema(Schema):
    """Work that was taken on."""

    id = fields.UUID(required=True)
    job_id = fields.UUID(required=True)
    status = fields.String(required=True)


class ListedBarSet(Schema):
    """A bar set in a list."""

    id = fields.UUID(required=True)
    job_id = fields.UUID(required=True)
    name = fields.String(required=True)
    symbol = fields.String(required=True)
    timeframe = fields.String(required=True)
    rows = fields.Integer(allow_none=True)
    first = fields.String(allow_none=True)
    last = fields.String(allow_none=True)
    data_hash = fields.String(allow_none=True)
    lot = fields.Float()
    created_at = fields.String(required=True)


class BarSetSchema(ListedBarSet):
    """A bar set with its certificate."""

    status = fields.String(required=True)
    error = fields.Dict(allow_none=True)
    certificate = fields.Dict(allow_none=True)


class BarSetsArguments(PageArguments):
    """Which bar sets."""

    status = Choice(STATUSES, load_default=None)


class BarSetPage(PageOf):
    """A page of bar sets."""

    items = fields.List(fields.Nested(ListedBarSet), required=True)


def within_plan(view: Callable[P, R]) -> Callable[P, R]:
    """Let a route take a file as large as the caller's plan allows, and no byte more."""

    @functools.wraps(view)
    def limited(*args: P.args, **kwargs: P.kwargs) -> R:
        tenant = caller().tenant
        limit_mb = plan_of(tenant.tier if tenant else TRIAL_TIER).upload_mb
        request.max_content_length = limit_mb * _MB + _FORM_OVERHEAD
        uploads.refuse_larger(request.content_length or 0, limit_mb, spare=_FORM_OVERHEAD)
        return view(*args, **kwargs)

    return limited


@blueprint.route("/")
class BarSets(MethodView):
    """The list."""

    @requires("data:read")
    @blueprint.arguments(BarSetsArguments, location="query")
    @blueprint.response(200, BarSetPage)
    def get(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """List bar sets, newest first."""
        with open_session(tenant_id()) as session:
            page = uploads.list_bar_sets(session, **arguments)
            return page_document(page, uploads.listed_bar_set)

    @requires("data:write")
    @within_plan
    @idempotent
    @blueprint.arguments(UploadForm, location="upload")
    @blueprint.response(202, AcceptedSchema)
    def post(self, form: dict[str, Any]) -> Response:
        """Upload a file of bars; the job that reads it is named in the answer."""
        spool, file_name = _file_in(form)
        upload = Upload(file_name=file_name, size=spool.size, **form)
        with open_session(tenant_id()) as session:
            uploads.check_upload(session, upload)
        content = off_loop(_digest, spool.path)
        described = hashlib.sha256(f"{content}{sorted(form.items())}".encode()).digest()
        key = off_loop(uploads.store_upload, installed_store(), tenant_id(), spool.path)

        def create(session: TenantSession) -> Answer:
            made = uploads.request_import(
                session, upload=upload, upload_key=key, created_by=caller().user_id
            )
            return accepted(made)

        return _create_or_drop(create, key, described)


def _create_or_drop(
    create: Callable[[TenantSession], Answer], key: str, described: bytes
) -> Response:
    """Create the bar set of a stored file; where there is none, the file is not kept either."""
    try:
        response = create_once(create, body_digest=described)
    except UnavailableError:
        raise  # perhaps it was committed: then its import needs the file
    except NeozorkError:
        off_loop(installed_store().delete, key)
        raise
    if REPLAYED in response.headers:
        off_loop(installed_store().delete, key)
    return response


@blueprint.route("/<uuid:data_id>")
class OneBarSet(MethodView):
    """One bar set."""

    @requires("data:read")
    @blueprint.response(200, BarSetSchema)
    def get(self, data_id: UUID) -> dict[str, Any]:
        """Answer a bar set with its certificate, once its job has read it."""
        with open_session(tenant_id()) as session:
            return uploads.get_bar_set(session, data_id)


def accepted(made: dict[str, Any]) -> Answer:
    """Answer work that was taken on, pointing at its job."""
    base = request.path.split("/trading/", maxsplit=1)[0]
    return Answer(made, HTTPStatus.ACCEPTED, {"Location": f"{base}/jobs/{made['job_id']}"})


def _file_in(form: dict[str, Any]) -> tuple[Spool, str]:
    """Take the file out of a form: its bytes, and its name."""
    file = form.pop("file")
    if not isinstance(file, FileStorage):
        fault = Fault("/file", "type", "This part is no file.", "Give the part a file name.")
        raise InvalidInputError("The upload has no file.", errors=[fault])
    return cast("Spool", file.stream), file.filename or "upload"


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
