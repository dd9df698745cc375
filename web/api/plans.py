"""Plans and prices, for everybody."""

from dataclasses import asdict
from typing import Any

from flask.views import MethodView
from marshmallow import Schema, fields

from core.plans import CURRENCY, PLANS, TRIAL_DAYS
from web.api.reading import Blueprint
from web.api.security import PUBLIC, requires

blueprint = Blueprint("plans", __name__, url_prefix="/plans", description="Plans and prices.")


class PlansSchema(Schema):
    """All plans."""

    currency = fields.String(required=True)
    trial_days = fields.Integer(required=True)
    plans = fields.List(fields.Dict(), required=True)


@blueprint.route("")
class Plans(MethodView):
    """The list."""

    @requires(PUBLIC)
    @blueprint.response(200, PlansSchema)
    def get(self) -> dict[str, Any]:
        """List the plans; -1 is unlimited, a null amount is by contract."""
        return {
            "currency": CURRENCY,
            "trial_days": TRIAL_DAYS,
            "plans": [asdict(plan) for plan in PLANS.values()],
        }
