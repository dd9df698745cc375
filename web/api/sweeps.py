"""Sweeps: a backtest at every cell of a grid, run as one job in parts."""

import json
from typing import Any
from uuid import UUID

from flask import Response
from flask.views import MethodView
from marshmallow import Schema, fields

from core.tenancy.session import TenantSession, open_session
from core.trading.requests import sweeps
from core.trading.requests.backtests import BacktestRequest
from core.trading.requests.sweeps import RANKED_BY, SweepRequest
from web.api.backtests import BacktestBody, BacktestsArguments
from web.api.data import AcceptedSchema, accepted
from web.api.fields import PageOf, Strict, WholeNumber, page_document
from web.api.reading import Blueprint
from web.api.security import caller, requires, tenant_id
from web.api.session import Answer, create_once, idempotent

blueprint = Blueprint("sweeps", __name__, url_prefix="/trading/sweeps", description="Sweeps.")


class SweepBody(BacktestBody):
    """What to run, and over which values."""

    grid = fields.Dict(
        keys=fields.String(),
        required=True,
        metadata={"description": "The values of each axis.", "example": {"fast_n": [5, 10, 15]}},
    )
    best_by = fields.String(
        load_default=RANKED_BY[0],
        metadata={"description": f"The metric to rank by: {', '.join(RANKED_BY)}."},
    )


class CellSchema(Schema):
    """One cell: what a backtest with its params comes to."""

    cell = fields.Integer(required=True)
    params = fields.Dict(required=True)
    result_id = fields.String(allow_none=True)
    summary = fields.Dict(allow_none=True)
    error = fields.Dict(allow_none=True, metadata={"description": "In place of a summary."})


class ListedSweep(Schema):
    """A sweep in a list."""

    id = fields.UUID(required=True)
    job_id = fields.UUID(required=True)
    strategy_id = fields.UUID(required=True)
    data_id = fields.UUID(required=True)
    cells_total = fields.Integer(required=True)
    best_by = fields.String(required=True)
    created_at = fields.String(required=True)


class SweepSchema(ListedSweep):
    """A sweep as it stands."""

    status = fields.String(required=True)
    progress = fields.Float(required=True)
    error = fields.Dict(allow_none=True)
    settings = fields.Dict(required=True)
    cells_done = fields.Integer(required=True)
    best = fields.List(
        fields.Nested(CellSchema),
        required=True,
        metadata={"description": "The ten best so far, the best first."},
    )


class SweepPage(PageOf):
    """A page of sweeps."""

    items = fields.List(fields.Nested(ListedSweep), required=True)


class CellPage(PageOf):
    """A page of cells."""

    items = fields.List(fields.Nested(CellSchema), required=True)


class CellsArguments(Strict):
    """Which cells."""

    limit = WholeNumber(1, 1_000, load_default=100)
    cursor = WholeNumber(0, 2**31 - 1, load_default=0)


@blueprint.route("/")
class Sweeps(MethodView):
    """The list."""

    @requires("backtests:read")
    @blueprint.arguments(BacktestsArguments, location="query")
    @blueprint.response(200, SweepPage)
    def get(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """List sweeps, newest first."""
        with open_session(tenant_id()) as session:
            return page_document(sweeps.list_sweeps(session, **arguments), sweeps.listed_sweep)

    @requires("backtests:run")
    @idempotent
    @blueprint.arguments(SweepBody)
    @blueprint.response(202, AcceptedSchema)
    def post(self, body: dict[str, Any]) -> Response:
        """Queue a sweep; its job waits for the parts that run the cells, then ranks them."""
        grid, best_by = body.pop("grid"), body.pop("best_by")
        asked = SweepRequest(run=BacktestRequest(**body), grid=grid, best_by=best_by)

        def create(session: TenantSession) -> Answer:
            made = sweeps.request_sweep(session, request=asked, created_by=caller().user_id)
            return accepted(made)

        return create_once(create)


@blueprint.route("/<uuid:sweep_id>")
class OneSweep(MethodView):
    """One sweep."""

    @requires("backtests:read")
    @blueprint.response(200, SweepSchema)
    def get(self, sweep_id: UUID) -> dict[str, Any]:
        """Answer a sweep, with its best cells so far."""
        with open_session(tenant_id()) as session:
            return sweeps.get_sweep(session, sweep_id)


@blueprint.route("/<uuid:sweep_id>/cells")
class SweepCells(MethodView):
    """Its cells."""

    @requires("backtests:read")
    @blueprint.arguments(CellsArguments, location="query")
    @blueprint.response(200, CellPage)
    def get(self, arguments: dict[str, int], sweep_id: UUID) -> Response:
        """Answer a page of the cells that are there, by their number."""
        limit = arguments["limit"]
        with open_session(tenant_id()) as session:
            found, total = sweeps.list_cells(
                session, sweep_id, limit=limit + 1, cursor=arguments["cursor"]
            )
        more = len(found) > limit
        page = {
            "total_count": total,
            "has_more": more,
            "next_cursor": str(found[limit][0]) if more else None,
        }
        items = ", ".join(document for _, document in found[:limit])
        body = f'{{"items": [{items}], {json.dumps(page)[1:]}'
        return Response(body, content_type="application/json")
