"""A grid over a strategy's parameters: which cells a sweep has, each by its number."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

from core.errors import InvalidInputError
from core.trading.strategy.findings import Findings, pointer, suggestion
from core.trading.strategy.parameters import read_value, resolve_params
from core.trading.strategy.rules import Strategy
from core.trading.strategy.scope import ParameterRule, ParameterUse
from core.wording import in_full

# Python writes no number of thousands of digits, and nobody reads it.
_COUNTED = 10**15


@dataclass(frozen=True, slots=True)
class Axis:
    """A parameter with the values it takes, ascending."""

    name: str
    values: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Grid:
    """Every combination of the axes' values, the last axis fastest.

    `axes`: in the order of their names, so that a grid's cells do not depend on how it was
    written. `fixed`: the values of the parameters that are not axes.
    """

    axes: tuple[Axis, ...]
    fixed: Mapping[str, float]

    def __len__(self) -> int:
        return prod(len(axis.values) for axis in self.axes)

    def params(self, cell: int) -> dict[str, float]:
        """Answer the value of every parameter in a cell; IndexError where there is no such cell."""
        if not 0 <= cell < len(self):
            raise IndexError(f"the grid has {len(self)} cells, and no cell {cell}")
        values = {}
        for axis in reversed(self.axes):
            cell, at = divmod(cell, len(axis.values))
            values[axis.name] = axis.values[at]
        return {**self.fixed, **dict(reversed(values.items()))}

    def as_document(self) -> dict[str, list[float]]:
        """Answer the axes as they were asked for, in their canonical order."""
        return {axis.name: list(axis.values) for axis in self.axes}


def read_grid(
    strategy: Strategy,
    grid: Mapping[str, Any],
    *,
    most_cells: int,
    params: Mapping[str, Any] | None = None,
) -> Grid:
    """Read the axes of a sweep, `{"fast_n": [5, 10], …}`, with the params that all cells share.

    Raises InvalidInputError with every fault found: unknown_param, type, out_of_range and those
    of the places that a value does not fit, required (no axis, no values), doubled, one_of (a
    parameter that is both fixed and an axis), grid_too_large.
    """
    findings = Findings()
    fixed = _fixed(strategy, {} if params is None else params, grid, findings)
    if not grid:
        findings.add("/grid", "required", "The grid has no axis.", 'Write {"name": [1, 2, 3]}.')
    axes = [_axis(strategy, name, grid[name], most_cells, findings) for name in sorted(grid)]
    cells = prod(len(listed) for listed in grid.values() if isinstance(listed, list | tuple))
    if cells > most_cells:
        told = f"{cells:,}" if cells < _COUNTED else f"more than {_COUNTED:,}"
        message = f"The grid has {told} cells; at most {most_cells:,} are allowed."
        findings.add("/grid", "grid_too_large", message, "Give fewer values, or wider steps.")
    if findings.faults:
        raise InvalidInputError("The grid does not fit.", errors=findings.faults)
    names = {axis.name for axis in axes}
    return Grid(tuple(axes), {name: fixed[name] for name in fixed if name not in names})


def _fixed(
    strategy: Strategy, params: Mapping[str, Any], grid: Mapping[str, Any], findings: Findings
) -> dict[str, float]:
    for name in sorted(set(params) & set(grid)):
        message = f"{name} is both a param and an axis of the grid."
        findings.add(pointer("grid", name), "one_of", message, "Keep one of the two.")
    try:
        return resolve_params(strategy, params)
    except InvalidInputError as error:
        findings.faults += error.errors
        return {}


def _axis(strategy: Strategy, name: str, listed: Any, most: int, findings: Findings) -> Axis:
    path = pointer("grid", name)
    rule = strategy.parameters.get(name)
    if rule is None:
        hint = suggestion(str(name), strategy.parameters, "See the document's params.")
        message = f"The strategy has no parameter {str(name)[:40]}."
        findings.add(path, "unknown_param", message, hint)
    elif not isinstance(listed, list | tuple):
        findings.add(path, "type", "An axis is a list of values.", "Write `[1, 2, 3]`.")
    elif not listed:
        findings.add(path, "required", "The axis has no values.", "Write `[1, 2, 3]`.")
    elif len(listed) <= most:
        uses = [use for use in strategy.parameter_uses if use.parameter == name]
        return Axis(name, tuple(sorted(_values(rule, uses, listed, path, findings))))
    return Axis(name, ())


def _values(
    rule: ParameterRule,
    uses: list[ParameterUse],
    listed: list[Any] | tuple[Any, ...],
    path: str,
    findings: Findings,
) -> set[float]:
    seen: set[float] = set()
    for at, given in enumerate(listed):
        here, before = path + pointer(at), len(findings.faults)
        value = read_value(rule, given, here, findings)
        if len(findings.faults) > before:
            continue
        if value in seen:
            findings.add(
                here, "doubled", f"{in_full(value)} stands twice.", "Leave one of them out."
            )
        unfit = next((use for use in uses if not use.bounds.takes(value)), None)
        if unfit is not None:
            message = f"{in_full(value)} cannot stand at {unfit.path}."
            findings.add(here, unfit.code, message, f"Give {unfit.bounds.described()}.")
        seen.add(value)
    return seen
