"""Backtests: asked for, run as jobs, served as the bytes that were signed."""

import json
from typing import Any
from uuid import UUID

from flask import Response, request
from flask.views import MethodView
from marshmallow import INCLUDE, Schema, fields

from core.jobs.models import STATUSES
from core.storage.installed import installed_store
from core.tenancy.session import TenantSession, open_session
from core.trading.backtest.drawing import PREVIEW_POINTS
from core.trading.requests import backtests, results
from core.trading.requests.backtests import BacktestRequest
from core.trading.requests.results import FEWEST_POINTS, ResultPart
from web.api.blocking import off_loop
from web.api.data import AcceptedSchema, accepted
from web.api.fields import Choice, Number, PageArguments, PageOf, Strict, WholeNumber, page_document
from web.api.reading import Blueprint
from web.api.security import caller, requires, tenant_id
from web.api.session import Answer, create_once, idempotent

blueprint = Blueprint(
    "backtests", __name__, url_prefix="/trading/backtesting", description="Backtests."
)
ARROW = "application/vnd.apache.arrow.file"
_DEFAULT_POINTS = 2_000


class CostsBody(Strict):
    """What trading costs."""

    commission_bps = Number(load_default=0.0)
    slippage_bps = Number(load_default=0.0)
    per_unit = Number(load_default=0.0)
    minimum = Number(load_default=0.0)
    borrow_apr = Number(load_default=0.0)
    finance_apr = Number(load_default=0.0)


class BacktestBody(Strict):
    """What to run."""

    strategy_id = fields.UUID(required=True)
    data_id = fields.UUID(required=True)
    params = fields.Dict(keys=fields.String(), load_default=dict)
    start = fields.String(load_default=None, data_key="from")
    end = fields.String(load_default=None, data_key="to")
    cash = Number(load_default=10_000.0)
    # What costs there are, core says, together with all else that does not fit.
    costs = fields.Nested(CostsBody, load_default=dict, unknown=INCLUDE)
    lot = Number(load_default=None, allow_none=True)
    profile = fields.String(load_default="native")


class ListedBacktest(Schema):
    """A backtest in a list."""

    id = fields.UUID(required=True)
    job_id = fields.UUID(required=True)
    strategy_id = fields.UUID(required=True)
    data_id = fields.UUID(required=True)
    result_id = fields.String(allow_none=True)
    created_at = fields.String(required=True)


class BacktestSchema(ListedBacktest):
    """A backtest, with its result once it succeeded."""

    status = fields.String(required=True)
    progress = fields.Float(required=True)
    error = fields.Dict(allow_none=True)
    settings = fields.Dict(required=True)
    signature = fields.String(allow_none=True, metadata={"description": "Ed25519, hex."})
    public_key = fields.String(
        allow_none=True, metadata={"description": "What the signature is checked with, hex."}
    )
    result = fields.Dict(allow_none=True, metadata={"description": "The result document."})


class BacktestPage(PageOf):
    """A page of backtests."""

    items = fields.List(fields.Nested(ListedBacktest), required=True)


class BacktestsArguments(PageArguments):
    """Which backtests."""

    strategy_id = fields.UUID(load_default=None)
    status = Choice(STATUSES, load_default=None)


class SeriesArguments(Strict):
    """Which series, at how many points."""

    names = fields.String(load_default="equity,drawdown")
    points = WholeNumber(FEWEST_POINTS, PREVIEW_POINTS, load_default=_DEFAULT_POINTS)


class SeriesSchema(Schema):
    """Series over the same times."""

    time = fields.List(fields.String(), required=True)
    equity = fields.List(fields.Float())
    drawdown = fields.List(fields.Float())


class TradesArguments(Strict):
    """Which trades."""

    limit = WholeNumber(1, 1_000, load_default=100)
    cursor = WholeNumber(0, 2**31 - 1, load_default=0)


@blueprint.route("/")
class Backtests(MethodView):
    """The list."""

    @requires("backtests:read")
    @blueprint.arguments(BacktestsArguments, location="query")
    @blueprint.response(200, BacktestPage)
    def get(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """List backtests, newest first."""
        with open_session(tenant_id()) as session:
            page = backtests.list_backtests(session, **arguments)
            return page_document(page, backtests.listed_backtest)

    @requires("backtests:run")
    @idempotent
    @blueprint.arguments(BacktestBody)
    @blueprint.response(202, AcceptedSchema)
    def post(self, body: dict[str, Any]) -> Response:
        """Queue a backtest; the job that runs it is named in the answer."""
        asked = BacktestRequest(**body)

        def create(session: TenantSession) -> Answer:
            made = backtests.request_backtest(session, request=asked, created_by=caller().user_id)
            return accepted(made)

        return create_once(create)


@blueprint.route("/<uuid:backtest_id>")
class OneBacktest(MethodView):
    """One backtest."""

    @requires("backtests:read")
    @blueprint.response(200, BacktestSchema)
    def get(self, backtest_id: UUID) -> Response:
        """Answer a backtest; its result document stands in it byte for byte."""
        with open_session(tenant_id()) as session:
            document, result = backtests.get_backtest(session, backtest_id)
        head = json.dumps(document).removesuffix("}")
        return Response(f'{head}, "result": {result or "null"}}}', content_type="application/json")


@blueprint.route("/<uuid:backtest_id>/series")
class BacktestSeries(MethodView):
    """Its series."""

    @requires("backtests:read")
    @blueprint.arguments(SeriesArguments, location="query")
    @blueprint.response(200, SeriesSchema)
    def get(self, arguments: dict[str, Any], backtest_id: UUID) -> Response | dict[str, Any]:
        """Answer series to draw; with Accept: application/vnd.apache.arrow.file every bar."""
        if request.accept_mimetypes.best_match(["application/json", ARROW]) == ARROW:
            return Response(_part(backtest_id, "series.arrow"), content_type=ARROW)
        preview = _part(backtest_id, "preview.json")
        names = [name.strip() for name in arguments["names"].split(",")]
        return off_loop(results.draw_series, preview, names, arguments["points"])


@blueprint.route("/<uuid:backtest_id>/trades")
class BacktestTrades(MethodView):
    """Its trades."""

    @requires("backtests:read")
    @blueprint.arguments(TradesArguments, location="query")
    @blueprint.response(200, PageOf)
    def get(self, arguments: dict[str, int], backtest_id: UUID) -> Response | dict[str, Any]:
        """Answer a page of the closed trades, in order; with Accept: text/csv all of them."""
        lines = _part(backtest_id, "trades.jsonl")
        if request.accept_mimetypes.best_match(["application/json", "text/csv"]) == "text/csv":
            return Response(
                off_loop(results.trades_as_csv, lines),
                content_type="text/csv; charset=utf-8",
                headers={"Content-Disposition": f'attachment; filename="{backtest_id}.csv"'},
            )
        after = arguments["cursor"]
        items, total = off_loop(
            results.page_of_trades, lines, after=after, limit=arguments["limit"]
        )
        following = after + len(items)
        return {
            "items": items,
            "total_count": total,
            "has_more": following < total,
            "next_cursor": str(following) if following < total else None,
        }


def _part(backtest_id: UUID, part: ResultPart) -> bytes:
    with open_session(tenant_id()) as session:
        result_id = backtests.find_backtest(session, backtest_id).result_id
    return off_loop(results.read_part, installed_store(), tenant_id(), result_id, part)
