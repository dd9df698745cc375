"""Documents read into strategies: every fault at once, or a `Strategy` with its warnings."""

import hashlib
from collections.abc import Mapping
from typing import Any

import rfc8785

from core.trading.bars.timeframes import LABELS, Timeframe
from core.trading.strategy.findings import Findings
from core.trading.strategy.reading_inputs import platform_bound_inputs, read_inputs
from core.trading.strategy.reading_lets import read_lets
from core.trading.strategy.reading_params import read_parameters
from core.trading.strategy.reading_rules import (
    read_orders,
    read_risk,
    read_session,
    read_sizing,
)
from core.trading.strategy.rules import (
    SessionRule,
    SideRule,
    Strategy,
)
from core.trading.strategy.scope import Bounds, Scope
from core.trading.strategy.section import Section, is_number

SPEC = "strategy/1"
KEYS = (
    "spec",
    "name",
    "description",
    "universe",
    "timeframe",
    "params",
    "inputs",
    "let",
    "long",
    "short",
    "rank",
    "sizing",
    "risk",
    "orders",
    "session",
)
RANK_KEYS = ("by", "where", "order", "take", "rebalance")
MAX_NAME, MAX_DESCRIPTION, MAX_SYMBOL, MAX_SYMBOLS = 200, 10_000, 64, 1_000


def read_strategy(document: Mapping[str, Any]) -> Strategy:
    """Read a document as `parse_document` answers it.

    Raises InvalidInputError with every fault of the document.
    """
    scope = Scope(Findings())
    top = Section(document, "", scope, KEYS)
    _spec(top)
    name = _text(top, "name", MAX_NAME)
    description = _text(top, "description", MAX_DESCRIPTION)
    symbols, universe = _universe(top)
    timeframe = _timeframe(top)
    parts = top.values
    params = read_parameters(parts.get("params", {}), scope)
    inputs, canonical_inputs = read_inputs(parts.get("inputs", {}), scope, timeframe, symbols)
    lets = read_lets(parts.get("let", {}), scope)
    risk, canonical_risk = read_risk(parts.get("risk", {}), scope)
    has_stop = isinstance(parts.get("risk"), Mapping) and "stop" in parts["risk"]
    sizing, canonical_sizing = read_sizing(parts.get("sizing", {}), scope, has_stop=has_stop)
    orders, canonical_orders = read_orders(parts.get("orders", {}), scope)
    session, canonical_session = read_session(parts.get("session", {}), scope)
    sides, canonical_sides = _sides(top, session)
    _refuse_rank(top)
    _warn_unused(scope)
    scope.findings.raise_if_any()
    canonical = {
        "spec": SPEC,
        "timeframe": top.canonical["timeframe"],
        "universe": universe,
        "params": params,
        "inputs": canonical_inputs,
        "let": lets,
        **canonical_sides,
        "sizing": canonical_sizing,
        "risk": canonical_risk,
        "orders": canonical_orders,
        "session": canonical_session,
    }
    return Strategy(
        name=name,
        description=description,
        timeframe=timeframe or Timeframe.D1,
        symbols=symbols,
        parameters={key: rule for key, rule in scope.parameters.items() if rule is not None},
        inputs=inputs,
        lets={key: typed for key, typed in scope.lets.items() if typed is not None},
        long=sides["long"],
        short=sides["short"],
        sizing=sizing,
        risk=risk,
        orders=orders,
        session=session,
        parameter_uses=tuple(scope.uses),
        platform_bound=platform_bound_inputs(inputs, scope),
        warnings=tuple(scope.findings.warnings),
        canonical=canonical,
        spec_hash=hashlib.sha256(rfc8785.dumps(canonical)).hexdigest(),
    )


def _spec(top: Section) -> None:
    if not top.require("spec", f"Write `spec: {SPEC}`."):
        return
    if top.values["spec"] != SPEC:
        top.fault("spec", "unsupported_spec", "This version is not known.", f"Write {SPEC}.")


def _text(top: Section, key: str, longest: int) -> str:
    if key == "name":
        top.require("name", "Give the strategy a name.")
    value = top.values.get(key, "")
    if not isinstance(value, str):
        top.fault(key, "type", f"{key} must be a text.", "Put it in quotes.")
        return ""
    if len(value) > longest:
        top.fault(key, "too_long", f"{key} has more than {longest} characters.", "Shorten it.")
    elif key == "name" and top.has("name") and not value.strip():
        top.fault(key, "required", "name is empty.", "Give the strategy a name.")
    return value


def _universe(top: Section) -> tuple[tuple[str, ...], dict[str, Any]]:
    section = top.section("universe", ("symbols", "max_positions"))
    bounds = Bounds(1, MAX_SYMBOLS, whole=True)
    if is_number(section.values.get("max_positions", 1)):
        most = section.quantity("max_positions", bounds, 1.0)
        if isinstance(most, float) and most > 1:
            message = "Positions in several symbols are not supported yet."
            section.fault("max_positions", "not_supported_yet", message, "Leave it out.")
    else:
        section.fault("max_positions", "type", "A whole number is needed here.")
    listed = section.values.get("symbols", [])
    known = isinstance(listed, list) and all(
        isinstance(symbol, str) and 0 < len(symbol) <= MAX_SYMBOL and symbol.isprintable()
        for symbol in listed
    )
    if not known or (section.has("symbols") and not listed):
        section.fault("symbols", "type", "symbols must be a list of names.", "Write `[EURUSD]`.")
        return (), {}
    if len(listed) > 1:
        message = "Several symbols are not supported yet."
        section.fault("symbols", "not_supported_yet", message, "Name one.")
    section.canonical["symbols"] = listed
    return tuple(listed), section.canonical


def _timeframe(top: Section) -> Timeframe | None:
    hint = f"Use one of {', '.join(LABELS)}."
    if not top.require("timeframe", hint):
        return None
    label = top.values["timeframe"]
    found = Timeframe.named(label) if isinstance(label, str) else None
    if found is None:
        top.fault("timeframe", "bad_timeframe", "There is no such timeframe.", hint)
        return None
    top.canonical["timeframe"] = label
    return found


def _sides(top: Section, session: SessionRule) -> tuple[dict[str, SideRule | None], dict[str, Any]]:
    sides: dict[str, SideRule | None] = {"long": None, "short": None}
    canonical: dict[str, Any] = {}
    for name in sides:
        if top.has(name):
            leaves = _leaves_otherwise(top, name, session)
            sides[name], canonical[name] = _side(top, name, leaves=leaves)
    if not canonical and not top.has("rank") and top.sound:
        message = "The strategy never enters."
        top.findings.add("", "no_entry", message, "Add long or short with an entry.")
    return sides, canonical


def _leaves_otherwise(top: Section, name: str, session: SessionRule) -> bool:
    """Say whether something other than its own exit can close a position of this side."""
    risk = top.values.get("risk")
    protected = isinstance(risk, Mapping) and any(
        key in risk for key in ("stop", "target", "trail", "max_bars")
    )
    other = "short" if name == "long" else "long"
    return protected or session.flat_at_close or top.has(other)


def _side(top: Section, name: str, *, leaves: bool) -> tuple[SideRule | None, dict[str, Any]]:
    section = top.section(name, ("entry", "exit"))
    entry = left = None
    if section.has("entry"):
        entry = section.expression("entry", condition=True, position=True)
    elif section.sound:
        message = f"There is no condition to enter {name}."
        top.fault(name, "no_entry", message, "Add `entry:` with a condition.")
    section.canonical.setdefault("exit", None)
    if section.has("exit"):
        left = section.expression("exit", condition=True, position=True)
    elif section.sound and not leaves:
        message = f"Nothing ever leaves a {name} position."
        top.fault(name, "no_exit", message, "Add `exit:`, or a stop, target, trail or max_bars.")
    rule = None if entry is None else SideRule(entry, left)
    return rule, section.canonical


def _refuse_rank(top: Section) -> None:
    if not top.has("rank"):
        return
    section = top.section("rank", RANK_KEYS)
    if top.has("long") or top.has("short"):
        message = "rank stands in place of long and short."
        top.fault("rank", "one_of", message, "Keep one of the two forms.")
    text = str(list(section.values.values()))
    top.scope.used.update(name for name in top.scope.parameters if f"${name}" in text)
    if section.sound:
        message = "Rotations over several symbols are not supported yet."
        top.fault("rank", "not_supported_yet", message, "Use long and short.")


def _warn_unused(scope: Scope) -> None:
    for name in scope.parameters:
        if name not in scope.used:
            message = f"${name} is used nowhere."
            scope.findings.warn(f"/params/{name}", "unused_param", message, "Use it or remove it.")
