"""The published JSON Schema of `strategy/1`, made from the tables that the reader itself uses.

It holds what can be said of each value alone, so that editors complete and check documents as
they are typed. What a name means, and whether parts fit one another, the reader says.
"""

from collections.abc import Iterable
from functools import cache
from typing import Any

from core.trading.bars.timeframes import LABELS
from core.trading.indicators.catalogue import indicator_names
from core.trading.strategy.lexing import MAX_LENGTH
from core.trading.strategy.reading import (
    KEYS,
    MAX_DESCRIPTION,
    MAX_NAME,
    MAX_SYMBOL,
    MAX_SYMBOLS,
    RANK_KEYS,
    SPEC,
)
from core.trading.strategy.reading_names import MAX_NAMES
from core.trading.strategy.reading_params import MAX_MAGNITUDE
from core.trading.strategy.reading_rules import (
    AMBIGUITIES,
    BARS,
    COOLDOWN,
    DAYS,
    FILLS,
    LARGE_PERCENT,
    LEVERAGE,
    LOOKBACK,
    MULTIPLE,
    PERCENT,
    SIZING_KEYS,
    TIME_PATTERN,
    UNITS,
)
from core.trading.strategy.scope import Bounds

_NAME = "^[A-Za-z_][A-Za-z0-9_]{0,63}$"
_PARAMETER = {"type": "string", "pattern": r"^\$[A-Za-z_][A-Za-z0-9_]*$"}
_CONDITION = {"type": "string", "minLength": 1, "maxLength": MAX_LENGTH}
_VALUE = {"anyOf": [_CONDITION, {"type": "number"}]}
_NUMBER = {"type": "number", "minimum": -MAX_MAGNITUDE, "maximum": MAX_MAGNITUDE}


@cache
def json_schema() -> dict[str, Any]:
    """Answer the schema (JSON Schema 2020-12) of a document as `parse_document` reads it."""
    values = {
        "spec": {"const": SPEC},
        "name": {"type": "string", "minLength": 1, "maxLength": MAX_NAME},
        "description": {"type": "string", "maxLength": MAX_DESCRIPTION},
        "universe": _universe(),
        "timeframe": {"enum": list(LABELS)},
        "params": _names(_parameter()),
        "inputs": _names(_input()),
        "let": _names(_VALUE),
        "long": _object({"entry": _CONDITION, "exit": _CONDITION}, required=["entry"]),
        "short": _object({"entry": _CONDITION, "exit": _CONDITION}, required=["entry"]),
        "rank": _object({key: {} for key in RANK_KEYS}),
        "sizing": _sizing(),
        "risk": _risk(),
        "orders": _orders(),
        "session": _session(),
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A trading strategy, strategy/1",
        **_object({key: values[key] for key in KEYS}, required=["spec", "name", "timeframe"]),
    }


def _object(properties: dict[str, Any], *, required: Iterable[str] = ()) -> dict[str, Any]:
    schema: dict[str, Any] = {
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
    }
    return {**schema, "required": list(required)} if required else schema


def _names(entry: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "propertyNames": {"pattern": _NAME},
        "additionalProperties": entry,
        "maxProperties": MAX_NAMES,
    }


def _quantity(bounds: Bounds) -> dict[str, Any]:
    """Answer the schema of a number within bounds, or of a `$parameter` in its place."""
    lowest = "exclusiveMinimum" if bounds.above else "minimum"
    number = {
        "type": "integer" if bounds.whole else "number",
        lowest: bounds.low,
        "maximum": bounds.high,
    }
    return {"anyOf": [number, _PARAMETER]}


def _universe() -> dict[str, Any]:
    symbol = {"type": "string", "minLength": 1, "maxLength": MAX_SYMBOL}
    symbols = {"type": "array", "items": symbol, "minItems": 1, "maxItems": MAX_SYMBOLS}
    most = _quantity(Bounds(1, MAX_SYMBOLS, whole=True))
    return _object({"symbols": symbols, "max_positions": most})


def _parameter() -> dict[str, Any]:
    numbers = dict.fromkeys(("default", "min", "max", "step"), _NUMBER)
    values = {"type": "array", "items": _NUMBER, "minItems": 1}
    kind = {"enum": ["int", "number"]}
    return _object({"type": kind, **numbers, "values": values}, required=["type", "default"])


def _input() -> dict[str, Any]:
    series = {"type": "string"}
    arguments = {"type": "object", "additionalProperties": {"anyOf": [_NUMBER, _PARAMETER]}}
    return _object(
        {
            "ta": {"enum": list(indicator_names())},
            "with": arguments,
            "on": {"anyOf": [series, {"type": "array", "items": series}]},
            "symbol": {"type": "string"},
            "timeframe": {"enum": list(LABELS)},
        },
        required=["ta"],
    )


def _sizing() -> dict[str, Any]:
    return _object(
        {
            "method": {"enum": list(SIZING_KEYS)},
            "percent": _quantity(LARGE_PERCENT),
            "units": _quantity(UNITS),
            "annual_percent": _quantity(LARGE_PERCENT),
            "lookback": _quantity(LOOKBACK),
            "max_leverage": _quantity(LEVERAGE),
            "max_weight": _quantity(LARGE_PERCENT),
        }
    )


def _risk() -> dict[str, Any]:
    halt = _object({"percent": _quantity(PERCENT)}, required=["percent"])
    stop = _level(PERCENT)
    trail = _level(PERCENT)
    trail["properties"]["after_r"] = _quantity(MULTIPLE)
    return _object(
        {
            "stop": stop,
            "target": _level(LARGE_PERCENT),
            "trail": trail,
            "max_bars": _quantity(BARS),
            "cooldown_bars": _quantity(COOLDOWN),
            "daily_loss_halt": halt,
            "portfolio_drawdown_halt": halt,
        }
    )


def _level(percent: Bounds) -> dict[str, Any]:
    distance = _object({"of": {"type": "string"}, "times": _quantity(MULTIPLE)}, required=["of"])
    forms = {
        "percent": _quantity(percent),
        "atr": distance,
        "price": _VALUE,
        "r": _quantity(MULTIPLE),
    }
    return {**_object(forms), "oneOf": [{"required": [form]} for form in forms]}


def _orders() -> dict[str, Any]:
    patience = {"valid_bars": _quantity(BARS), "limit_through": {"type": "boolean"}}
    priced = _object({"limit": _VALUE, "stop": _VALUE, **patience})
    priced["oneOf"] = [{"required": ["limit"]}, {"required": ["stop"]}]
    return _object(
        {
            "entry": {"anyOf": [{"const": "market"}, priced]},
            "fill": {"enum": list(FILLS)},
            "on_ambiguous_bar": {"enum": list(AMBIGUITIES)},
            **patience,
        }
    )


def _session() -> dict[str, Any]:
    time = {"type": "string", "pattern": f"^(?:{TIME_PATTERN})$"}
    return _object(
        {
            "timezone": {"type": "string"},
            "days": {"type": "array", "items": {"enum": list(DAYS)}, "minItems": 1},
            "from": time,
            "to": time,
            "flat_at_close": {"type": "boolean"},
        }
    )
