"""The `params` of a document: what a run or a sweep may set."""

from typing import Any

from core.trading.strategy.findings import pointer
from core.trading.strategy.reading_names import names_of
from core.trading.strategy.scope import Bounds, ParameterRule, Scope
from core.trading.strategy.section import Section, exact, is_number
from core.wording import in_full

MAX_MAGNITUDE = 1e15


def read_parameters(value: Any, scope: Scope) -> dict[str, Any]:
    """Read `params` into the scope; answer its canonical form."""
    canonical: dict[str, Any] = {}
    for name, entry in names_of(value, "/params", scope.findings, reserved=False).items():
        keys = ("type", "default", "min", "max", "step", "values")
        section = Section(entry, pointer("params", name), scope, keys)
        before = len(scope.findings.faults)
        rule = _parameter(name, section)
        sound = section.sound and len(scope.findings.faults) == before
        scope.parameters[name] = rule if sound else None
        canonical[name] = section.canonical
    return canonical


def _parameter(name: str, section: Section) -> ParameterRule | None:
    if section.require("type", "Write `type: int` or `type: number`."):
        section.choice("type", ("int", "number"), "number")
    whole = section.values.get("type") == "int"
    bounds = Bounds(-MAX_MAGNITUDE, MAX_MAGNITUDE, whole=whole)
    section.require("default", "Say which value is taken where none is given.")
    numbers = {key: _number(section, key, bounds) for key in ("default", "min", "max", "step")}
    values = _values(section, bounds) if section.has("values") else ()
    if section.has("values") and any(section.has(key) for key in ("min", "max", "step")):
        message = "values and min, max, step exclude one another."
        section.findings.add(section.path, "one_of", message, "Keep one of the two forms.")
    low, high, step = numbers["min"], numbers["max"], numbers["step"]
    if low is not None and high is not None and low > high:
        section.fault(
            "min", "bad_range", f"min {in_full(low)} is above max {in_full(high)}.", "Swap them."
        )
    elif numbers["default"] is not None:
        _check_default(section, numbers["default"], low, high, values)
    if step is not None and step <= 0:
        section.fault("step", "bad_range", "step must be above 0.", "Write how far values lie.")
    if whole and step is None and low is not None and high is not None:
        section.canonical["step"] = 1
    if numbers["default"] is None:
        return None
    return ParameterRule(name, whole, numbers["default"], low, high, step, values)


def _number(section: Section, key: str, bounds: Bounds) -> float | None:
    if not section.has(key):
        return None
    value = section.values[key]
    if not is_number(value):
        section.fault(key, "type", f"{key} must be a number.", f"Write {bounds.described()}.")
        return None
    found = section.quantity(key, bounds)
    return found if isinstance(found, float) else None


def _values(section: Section, bounds: Bounds) -> tuple[float, ...]:
    listed = section.values["values"]
    if not isinstance(listed, list) or not listed:
        section.fault("values", "type", "values must be a list of numbers.", "Write `[1, 2, 3]`.")
        return ()
    if not all(
        is_number(v) and bounds.takes(v) and (not bounds.whole or v == int(v)) for v in listed
    ):
        section.fault("values", "type", f"Each value must be {bounds.described()}.")
        return ()
    section.canonical["values"] = [exact(value) for value in listed]
    return tuple(float(value) for value in listed)


def _check_default(
    section: Section,
    default: float,
    low: float | None,
    high: float | None,
    values: tuple[float, ...],
) -> None:
    below = low is not None and default < low
    above = high is not None and default > high
    if below or above or (values and default not in values):
        hint = "Choose a default that may be given."
        section.fault(
            "default", "out_of_range", f"{in_full(default)} is outside its own range.", hint
        )
