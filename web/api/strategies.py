"""Strategies: documents of `strategy/1`, validated and kept by version."""

import json
from typing import Any
from uuid import UUID

from flask import Response, request
from flask.views import MethodView
from marshmallow import Schema, fields

from core.errors import Fault, InvalidInputError
from core.tenancy.session import open_session
from core.trading.requests import strategies
from core.trading.strategy.loading import parse_document
from web.api.blocking import off_loop
from web.api.fields import PageArguments, PageOf, Strict, page_document
from web.api.reading import Blueprint, refuse_unkept
from web.api.security import caller, requires, tenant_id
from web.api.session import Answer, create_once, idempotent

blueprint = Blueprint(
    "strategies", __name__, url_prefix="/trading/strategies", description="Trading strategies."
)


class StrategyBody(Strict):
    """A strategy as it is sent."""

    name = fields.String(required=True)
    document = fields.Raw(
        required=True,
        metadata={"description": "A strategy/1 document: an object, or its YAML as a string."},
    )


class ValidationBody(Strict):
    """A document to validate."""

    document = StrategyBody().fields["document"]


class ListedStrategy(Schema):
    """A strategy in a list."""

    id = fields.UUID(required=True)
    name = fields.String(required=True)
    created_at = fields.String(required=True)


class StrategySchema(ListedStrategy):
    """A strategy."""

    version = fields.Integer(required=True)
    spec_hash = fields.String(required=True)
    document = fields.Dict(required=True)
    warnings = fields.List(fields.Dict(), required=True)


class ValidationSchema(Schema):
    """What a valid document amounts to."""

    valid = fields.Boolean(required=True)
    spec_hash = fields.String(required=True)
    warnings = fields.List(fields.Dict(), required=True)


class StrategyPage(PageOf):
    """A page of strategies."""

    items = fields.List(fields.Nested(ListedStrategy), required=True)


def document_of(body: dict[str, Any]) -> dict[str, Any]:
    """Answer the document of a body, an object or YAML, within the bounds that hold for both."""
    document = body["document"]
    if isinstance(document, dict):
        try:
            document = json.dumps(document)
        except RecursionError:
            fault = Fault("/document", "too_deep", "The document is nested too deeply.")
            raise InvalidInputError("The strategy cannot be read.", errors=[fault]) from None
    if not isinstance(document, str):
        fault = Fault("/document", "type", "`document` is an object, or YAML as a string.")
        raise InvalidInputError("The strategy cannot be read.", errors=[fault])
    read = off_loop(parse_document, document)
    refuse_unkept("", read)
    return read


@blueprint.route("/")
class Strategies(MethodView):
    """The list."""

    @requires("strategies:read")
    @blueprint.arguments(PageArguments, location="query")
    @blueprint.response(200, StrategyPage)
    def get(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """List strategies, newest first."""
        with open_session(tenant_id()) as session:
            page = strategies.list_strategies(session, **arguments)
            return page_document(page, strategies.listed_strategy)

    @requires("strategies:write")
    @idempotent
    @blueprint.arguments(StrategyBody)
    @blueprint.response(201, StrategySchema)
    def post(self, body: dict[str, Any]) -> Response:
        """Create a strategy; an invalid document is answered with every fault at once."""
        document = document_of(body)

        def create(session: Any) -> Answer:
            made = strategies.create_strategy(
                session, name=body["name"], document=document, created_by=caller().user_id
            )
            return Answer(made, headers={"Location": f"{request.path.rstrip('/')}/{made['id']}"})

        return create_once(create)


@blueprint.route("/validate")
class Validation(MethodView):
    """Validating."""

    @requires("strategies:read")
    @blueprint.arguments(ValidationBody)
    @blueprint.response(200, ValidationSchema)
    def post(self, body: dict[str, Any]) -> dict[str, Any]:
        """Validate a document without keeping it."""
        return strategies.validate_document(document_of(body))


@blueprint.route("/<uuid:strategy_id>")
class OneStrategy(MethodView):
    """One strategy."""

    @requires("strategies:read")
    @blueprint.response(200, StrategySchema)
    def get(self, strategy_id: UUID) -> dict[str, Any]:
        """Answer a strategy as it stands."""
        with open_session(tenant_id()) as session:
            return strategies.get_strategy(session, strategy_id)

    @requires("strategies:write")
    @blueprint.arguments(StrategyBody)
    @blueprint.response(200, StrategySchema)
    def put(self, body: dict[str, Any], strategy_id: UUID) -> dict[str, Any]:
        """Edit a strategy; new content is a new version, backtests keep theirs."""
        document = document_of(body)
        with open_session(tenant_id()) as session:
            return strategies.edit_strategy(
                session, strategy_id, name=body["name"], document=document
            )

    @requires("strategies:write")
    @blueprint.response(204)
    def delete(self, strategy_id: UUID) -> None:
        """Delete a strategy; its backtests stay."""
        with open_session(tenant_id()) as session:
            strategies.delete_strategy(session, strategy_id)
