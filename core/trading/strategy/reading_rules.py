"""The `sizing`, `risk`, `orders` and `session` of a document."""

import re
from collections.abc import Mapping
from functools import cache
from typing import Any
from zoneinfo import available_timezones

from core.trading.strategy.findings import pointer
from core.trading.strategy.functions import MICROSECONDS_PER_MINUTE
from core.trading.strategy.rules import (
    LevelRule,
    OrderRules,
    Quantity,
    RiskRules,
    SessionRule,
    SizingRule,
)
from core.trading.strategy.scope import Bounds, Scope
from core.trading.strategy.section import Section
from core.trading.strategy.signals import Ambiguity, Entry, Fill, LevelKind, SizingMethod
from core.trading.strategy.tree import Node, Output

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
FILLS = ("next_open", "this_close")
AMBIGUITIES = ("worst", "best", "path")
MAX_BARS = 1_000_000
PERCENT = Bounds(0, 100, above=True)
LARGE_PERCENT = Bounds(0, 10_000, above=True)
MULTIPLE = Bounds(0, 1_000, above=True)
UNITS = Bounds(0, 1e12, above=True)
LEVERAGE = Bounds(0, 100, above=True)
LOOKBACK = Bounds(2, 10_000, whole=True)
BARS = Bounds(1, MAX_BARS, whole=True)
COOLDOWN = Bounds(0, MAX_BARS, whole=True)

SIZING_KEYS: dict[str, tuple[str, ...]] = {
    "percent": ("percent", "max_leverage"),
    "fixed": ("units", "max_leverage"),
    "risk": ("percent", "max_leverage"),
    "vol_target": ("annual_percent", "lookback", "max_leverage", "max_weight"),
    "equal_weight": ("max_leverage",),
}
_SIZES = {
    "fixed": ("units", UNITS),
    "risk": ("percent", PERCENT),
    "vol_target": ("annual_percent", LARGE_PERCENT),
}
LEVEL_FORMS = ("percent", "atr", "price", "r")
TIME_PATTERN = "(?:[01][0-9]|2[0-3]):[0-5][0-9]|24:00"
_TIME = re.compile(TIME_PATTERN)
_ALL_SIZING_KEYS = ("method", "percent", "units", "annual_percent", "lookback", "max_leverage")


def read_sizing(value: Any, scope: Scope, *, has_stop: bool) -> tuple[SizingRule, dict[str, Any]]:
    """Read `sizing`; answer it and its canonical form."""
    section = Section(value, "/sizing", scope, (*_ALL_SIZING_KEYS, "max_weight"))
    method = section.choice("method", tuple(SIZING_KEYS), "percent")
    for key in section.values:
        if key in {*_ALL_SIZING_KEYS, "max_weight"} - {"method", *SIZING_KEYS[method]}:
            hint = f"It takes {', '.join(SIZING_KEYS[method])}."
            section.fault(key, "not_allowed", f"Sizing by {method} takes no {key}.", hint)
    if method == "risk" and not has_stop:
        message = "Sizing by risk needs the distance to a stop."
        section.findings.add("/sizing/method", "needs_stop", message, "Add /risk/stop.")
    leverage = section.quantity("max_leverage", LEVERAGE, 1.0) or 1.0
    size: Quantity | None = 100.0
    if method == "percent":
        size = section.quantity("percent", LARGE_PERCENT, 100.0)
    elif method != "equal_weight":
        size = _required(section, *_SIZES[method])
    lookback: Quantity | None = 0.0
    weight: Quantity | None = None
    if method == "vol_target":
        lookback = section.quantity("lookback", LOOKBACK, 60.0)
        weight = section.quantity("max_weight", LARGE_PERCENT)
    rule = SizingRule(SizingMethod[method.upper()], size or 1.0, leverage, lookback or 0.0, weight)
    return rule, section.canonical


def _required(section: Section, key: str, bounds: Bounds) -> Quantity | None:
    section.require(key, f"Write {bounds.described()}.")
    return section.quantity(key, bounds)


def read_risk(value: Any, scope: Scope) -> tuple[RiskRules, dict[str, Any]]:
    """Read `risk`; answer it and its canonical form."""
    keys = ("stop", "target", "trail", "max_bars", "cooldown_bars")
    halts = ("daily_loss_halt", "portfolio_drawdown_halt")
    section = Section(value, "/risk", scope, (*keys, *halts))
    levels: dict[str, LevelRule | None] = dict.fromkeys(("stop", "target", "trail"))
    after_r: Quantity | None = None
    for name in levels:
        if section.has(name):
            levels[name], level = _level(section, name)
            section.canonical[name] = level.canonical
            after_r = level.quantity("after_r", MULTIPLE) if name == "trail" else after_r
    rule = RiskRules(
        stop=levels["stop"],
        target=levels["target"],
        trail=levels["trail"],
        trail_after_r=after_r,
        max_bars=section.quantity("max_bars", BARS),
        cooldown_bars=section.quantity("cooldown_bars", COOLDOWN, 0.0) or 0.0,
        daily_loss_halt_percent=_halt(section, "daily_loss_halt"),
        drawdown_halt_percent=_halt(section, "portfolio_drawdown_halt"),
    )
    return rule, section.canonical


def _halt(section: Section, name: str) -> Quantity | None:
    if not section.has(name):
        return None
    halt = section.section(name, ("percent",))
    percent = _required(halt, "percent", PERCENT)
    section.canonical[name] = halt.canonical
    return percent


def _level(section: Section, name: str) -> tuple[LevelRule | None, Section]:
    keys = (*LEVEL_FORMS, "after_r") if name == "trail" else LEVEL_FORMS
    level = section.section(name, keys)
    forms = [form for form in LEVEL_FORMS if level.has(form)]
    if len(forms) != 1:
        if level.sound:
            message = f"A {name} is given by exactly one of {', '.join(LEVEL_FORMS)}."
            section.fault(name, "one_of", message, "Keep one of them.")
        return None, level
    has_stop = isinstance(section.values.get("stop"), Mapping)
    for key in ("r", "after_r"):
        if level.has(key) and name != "stop" and not has_stop:
            message = f"{key} is a multiple of the distance to the stop."
            level.fault(key, "needs_stop", message, "Add /risk/stop.")
    if forms[0] == "r" and name == "stop":
        message = "r is measured by the stop itself."
        level.fault("r", "not_allowed", message, "Use percent, atr or price.")
        return None, level
    return _level_of(level, forms[0], name), level


def _level_of(level: Section, form: str, name: str) -> LevelRule | None:
    if form == "atr":
        return _distance(level)
    if form == "price":
        price = level.expression("price", condition=False, position=False)
        return None if price is None else LevelRule(LevelKind.PRICE, price=price.node)
    kind, bounds = LevelKind.R, MULTIPLE
    if form == "percent":
        kind, bounds = LevelKind.PERCENT, LARGE_PERCENT if name == "target" else PERCENT
    quantity = level.quantity(form, bounds)
    return None if quantity is None else LevelRule(kind, quantity)


def _distance(level: Section) -> LevelRule | None:
    section = level.section("atr", ("of", "times"))
    level.canonical["atr"] = section.canonical
    times = section.quantity("times", MULTIPLE, 1.0)
    if not section.require("of", "Name an input: `of: atr`."):
        return None
    of = section.expression("of", condition=False, position=False)
    if of is None or times is None:
        return None
    if not isinstance(of.node, Output):
        section.fault("of", "type", "of must be an input.", "Name an input: `of: atr`.")
        return None
    return LevelRule(LevelKind.DISTANCE, times, distance=of.node)


def read_orders(value: Any, scope: Scope) -> tuple[OrderRules, dict[str, Any]]:
    """Read `orders`; answer it and its canonical form.

    `valid_bars` and `limit_through` may stand beside `entry` or inside it.
    """
    keys = ("entry", "fill", "on_ambiguous_bar", "valid_bars", "limit_through")
    section = Section(value, "/orders", scope, keys)
    entry = section.values.get("entry", "market")
    holder, price, kind = section, None, Entry.MARKET
    if isinstance(entry, Mapping):
        inner = section.section("entry", ("limit", "stop", "valid_bars", "limit_through"))
        holder = _holder(section, inner)
        kind, price = _priced_entry(inner)
        section.canonical["entry"] = {
            key: value for key, value in inner.canonical.items() if key in {"limit", "stop"}
        }
    else:
        section.choice("entry", ("market",), "market")
    valid_bars = holder.quantity("valid_bars", BARS, 1.0) or 1.0
    through = holder.flag("limit_through", default=False)
    _refuse_unused(holder, kind, valid_bars, through=through)
    section.canonical |= {key: holder.canonical.get(key) for key in ("valid_bars", "limit_through")}
    fill = section.choice("fill", FILLS, FILLS[0])
    ambiguity = section.choice("on_ambiguous_bar", AMBIGUITIES, AMBIGUITIES[0])
    _warn_of_optimism(section, fill, ambiguity)
    rule = OrderRules(
        kind, price, valid_bars, through, Fill[fill.upper()], Ambiguity[ambiguity.upper()]
    )
    return rule, section.canonical


def _holder(section: Section, inner: Section) -> Section:
    """Answer where valid_bars and limit_through stand; a key may not stand in both places."""
    keys = ("valid_bars", "limit_through")
    for key in keys:
        if section.has(key) and inner.has(key):
            section.fault(key, "one_of", f"{key} stands in entry, too.", "Keep one of them.")
    if any(inner.has(key) for key in keys):
        inner.values = {**{k: section.values[k] for k in keys if section.has(k)}, **inner.values}
        return inner
    return section


def _priced_entry(inner: Section) -> tuple[Entry, Node | None]:
    forms = [form for form in ("limit", "stop") if inner.has(form)]
    if len(forms) != 1:
        message = "An entry is market, or exactly one of limit and stop."
        inner.findings.add(inner.path, "one_of", message, 'Write `{limit: "close * 0.998"}`.')
        return Entry.MARKET, None
    price = inner.expression(forms[0], condition=False, position=False)
    return Entry[forms[0].upper()], None if price is None else price.node


def _refuse_unused(holder: Section, kind: Entry, valid_bars: Quantity, *, through: bool) -> None:
    unused = []
    if kind is Entry.MARKET and valid_bars != 1:
        unused.append("valid_bars")
    if kind is not Entry.LIMIT and through:
        unused.append("limit_through")
    for key in unused:
        hint = "Leave it out, or enter by a limit order."
        holder.fault(key, "not_allowed", f"{key} means nothing for this entry.", hint)


def _warn_of_optimism(section: Section, fill: str, ambiguity: str) -> None:
    if fill == "this_close":
        message = "No order fills at the very close that it was decided at."
        hint = "Use next_open."
        section.findings.warn("/orders/fill", "optimistic_fill", message, hint)
    if ambiguity == "best":
        message = "It takes the target wherever a bar spans both stop and target."
        hint = "Use worst."
        section.findings.warn("/orders/on_ambiguous_bar", "optimistic_fill", message, hint)


def read_session(value: Any, scope: Scope) -> tuple[SessionRule, dict[str, Any]]:
    """Read `session`; answer it and its canonical form."""
    keys = ("timezone", "days", "from", "to", "flat_at_close")
    section = Section(value, "/session", scope, keys)
    zone = section.values.get("timezone", "UTC")
    if not isinstance(zone, str) or zone not in _timezones():
        code = "type" if not isinstance(zone, str) else "one_of"
        hint = "Use a name of the tz database, as America/New_York."
        section.fault("timezone", code, "There is no such timezone.", hint)
        zone = "UTC"
    section.canonical["timezone"] = zone
    start, end = _time(section, "from", "00:00"), _time(section, "to", "24:00")
    if start is not None and start == end:
        message = "A session that ends when it begins has no bars."
        section.fault("to", "bad_range", message, 'For whole days write "00:00" and "24:00".')
    rule = SessionRule(
        timezone=zone,
        days=_days(section),
        start=start or 0,
        end=end or 0,
        flat_at_close=section.flag("flat_at_close", default=False),
    )
    return rule, section.canonical


@cache
def _timezones() -> frozenset[str]:
    return frozenset(available_timezones())


def _time(section: Section, key: str, default: str) -> int | None:
    value = section.values.get(key, default)
    if (
        not isinstance(value, str)
        or not _TIME.fullmatch(value)
        or (key, value) == ("from", "24:00")
    ):
        code = "bad_range" if isinstance(value, str) else "type"
        section.fault(key, code, "This is no time of day.", 'Write it in quotes, as "09:30".')
        return None
    section.canonical[key] = value
    return (int(value[:2]) * 60 + int(value[3:])) * MICROSECONDS_PER_MINUTE


def _days(section: Section) -> tuple[int, ...]:
    value = section.values.get("days", list(DAYS))
    if not isinstance(value, list) or not value:
        hint = "Write `[mon, tue, wed, thu, fri]`."
        section.fault("days", "type", "days must be a list of weekdays.", hint)
        return tuple(range(len(DAYS)))
    for index, day in enumerate(value):
        if not isinstance(day, str) or day not in DAYS:
            path = section.path + pointer("days", index)
            code = "one_of" if isinstance(day, str) else "type"
            section.findings.add(path, code, "There is no such day.", f"Use {', '.join(DAYS)}.")
    found = sorted({DAYS.index(day) for day in value if day in DAYS})
    section.canonical["days"] = [DAYS[index] for index in found]
    return tuple(found)
