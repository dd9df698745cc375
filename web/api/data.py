"""Market data: files of bars, read by a job that certifies them."""

import hashlib
import tempfile
from http import HTTPStatus
from pathlib import Path
from typing import Any
from uuid import UUID

from flask import Response, request
from flask.views import MethodView
from flask_smorest import Blueprint
from marshmallow import Schema, fields
from werkzeug.datastructures import FileStorage

from core.plans import PLANS
from core.storage.installed import installed_store
from core.tenancy.session import TenantSession, open_session
from core.trading.requests import uploads
from core.trading.requests.uploads import Upload
from web.api.blocking import off_loop
from web.api.fields import PageArguments, PageOf, Strict, page_document
from web.api.security import caller, requires, tenant_id
from web.api.session import Answer, create_once

blueprint = Blueprint("data", __name__, url_prefix="/trading/data", description="Market data.")
_MB = 1_000_000
_FORM_OVERHEAD = 100_000
LARGEST_UPLOAD = max(plan.upload_mb for plan in PLANS.values()) * _MB + _FORM_OVERHEAD


class UploadForm(Strict):
    """How a file is to be read."""

    symbol = fields.String(required=True)
    timeframe = fields.String(required=True)
    name = fields.String(load_default=None)
    timezone = fields.String(
        load_default=None, metadata={"description": "IANA name, for times without an offset."}
    )
    stamp = fields.String(load_default="open", metadata={"description": "open or close"})
    lot = fields.Float(load_default=0.0, metadata={"description": "0: fractions."})


class UploadFiles(Strict):
    """The file itself: CSV or Parquet."""

    file = fields.Raw(required=True, metadata={"type": "string", "format": "binary"})


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


class BarSetPage(PageOf):
    """A page of bar sets."""

    items = fields.List(fields.Nested(ListedBarSet), required=True)


@blueprint.before_request
def take_large_files() -> None:
    """Let this noun take files; the plan's own limit is checked once it is known who calls."""
    request.max_content_length = LARGEST_UPLOAD


@blueprint.route("/")
class BarSets(MethodView):
    """The list."""

    @requires("data:read")
    @blueprint.arguments(PageArguments, location="query")
    @blueprint.response(200, BarSetPage)
    def get(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """List bar sets, newest first."""
        with open_session(tenant_id()) as session:
            page = uploads.list_bar_sets(session, **arguments)
            return page_document(page, uploads.listed_bar_set)

    @requires("data:write")
    @blueprint.arguments(UploadForm, location="form")
    @blueprint.arguments(UploadFiles, location="files")
    @blueprint.response(202, AcceptedSchema)
    def post(self, form: dict[str, Any], files: dict[str, FileStorage]) -> Response:
        """Upload a file of bars; the job that reads it is named in the answer."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "upload"
            files["file"].save(path)
            upload = Upload(
                file_name=files["file"].filename or "upload",
                size=path.stat().st_size,
                **form,
            )
            with open_session(tenant_id()) as session:
                uploads.check_upload(session, upload)
            content = off_loop(_digest, path)
            key = off_loop(uploads.store_upload, installed_store(), tenant_id(), path)
        described = hashlib.sha256(f"{content}{sorted(form.items())}".encode()).digest()

        def create(session: TenantSession) -> Answer:
            made = uploads.request_import(
                session, upload=upload, upload_key=key, created_by=caller().user_id
            )
            return accepted(made)

        return create_once(create, body_digest=described)


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


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
