"""The values of a strategy's parameters for one run."""

from collections.abc import Mapping
from typing import Any

from core.errors import InvalidInputError
from core.trading.strategy.findings import Findings, pointer, suggestion
from core.trading.strategy.rules import Strategy
from core.trading.strategy.scope import ParameterRule, misfits
from core.trading.strategy.section import exact, is_number
from core.wording import in_full


def resolve_params(strategy: Strategy, given: Mapping[str, Any]) -> dict[str, float]:
    """Answer the value of every parameter: the given one, else its default.

    Whole parameters are answered as int. A value between the steps of its grid is taken.
    Raises InvalidInputError with codes unknown_param, type, out_of_range and those of the
    places that a value does not fit (bad_lag, bad_window, …).
    """
    findings = Findings()
    values: dict[str, float] = {}
    for name in given:
        if name not in strategy.parameters:
            hint = suggestion(str(name), strategy.parameters, "See the document's params.")
            message = f"The strategy has no parameter {str(name)[:40]}."
            findings.add(pointer("params", str(name)), "unknown_param", message, hint)
    for name, rule in strategy.parameters.items():
        path = pointer("params", name)
        values[name] = read_value(rule, given.get(name, rule.default), path, findings)
    if not findings.faults:
        misfits(strategy.parameter_uses, values, findings)
    if findings.faults:
        raise InvalidInputError("The parameters do not fit.", errors=findings.faults)
    return values


def read_value(rule: ParameterRule, value: Any, path: str, findings: Findings) -> float:
    """Answer a parameter's value, whole ones as int; its default, a fault noted, if unfit."""
    if not is_number(value) or (rule.whole and value != int(value)):
        findings.add(path, "type", f"${rule.name} must be {rule.described()}.", "Give a number.")
        return rule.default
    outside = (rule.low is not None and value < rule.low) or (
        rule.high is not None and value > rule.high
    )
    if outside or (rule.values and value not in rule.values):
        message = f"{in_full(value)} is not a value of ${rule.name}."
        findings.add(path, "out_of_range", message, f"Give {rule.described()}.")
        return rule.default
    return int(value) if rule.whole else float(exact(value))
