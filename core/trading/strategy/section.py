"""One mapping of a document while it is read: known keys, kinds, bounds, canonical form."""

import math
import re
from collections.abc import Mapping
from typing import Any

from core.trading.strategy.findings import Findings, pointer, suggestion
from core.trading.strategy.parsing import parse, type_expression
from core.trading.strategy.scope import Bounds, ParameterUse, Scope
from core.trading.strategy.tree import Parameter, Typed
from core.wording import in_full

IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}", re.ASCII)
_PARAMETER = re.compile(r"\$[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_MAX_WHOLE_FLOAT = 2.0**53


def exact(value: float) -> float:
    """Answer a number as the canonical form has it: whole ones as int."""
    return int(value) if value == int(value) and abs(value) < _MAX_WHOLE_FLOAT else float(value)


def is_number(value: Any) -> bool:
    """Say whether a value of a document is a finite number (true and false are none)."""
    return (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and abs(value) < math.inf
        and abs(float_or_infinity(value)) < math.inf
    )


def float_or_infinity(value: float) -> float:
    """Answer a float, infinity for a whole number too large to be one."""
    try:
        return float(value)
    except OverflowError:
        return math.inf


class Section:
    """A mapping at a path. Reading a key notes its faults and its canonical value.

    `canonical`: what the keys read so far say, defaults filled in.
    """

    def __init__(
        self,
        value: Any,
        path: str,
        scope: Scope,
        keys: tuple[str, ...],
        *,
        unknown: str = "unknown_key",
    ) -> None:
        self.path = path
        self.scope = scope
        self.findings: Findings = scope.findings
        self.canonical: dict[str, Any] = {}
        self.sound = isinstance(value, Mapping)
        self.values: Mapping[Any, Any] = value if isinstance(value, Mapping) else {}
        if not self.sound:
            self.findings.add(path, "type", "A mapping is needed here.", f"Keys: {', '.join(keys)}")
        for key in self.values:
            if key not in keys:
                hint = suggestion(str(key), keys, f"The keys are {', '.join(keys)}.")
                message = f"There is no key {str(key)[:40]!r} here."
                self.findings.add(self.at(str(key)), unknown, message, hint)

    def at(self, *keys: str | int) -> str:
        """Answer the pointer of something inside."""
        return self.path + pointer(*keys)

    def fault(self, key: str, code: str, message: str, hint: str = "") -> None:
        """Note a fault at a key."""
        self.findings.add(self.at(key), code, message, hint)

    def has(self, key: str) -> bool:
        """Say whether the key stands there."""
        return key in self.values

    def require(self, key: str, hint: str = "") -> bool:
        """Say whether a key that must be there is; a fault is noted where it is not."""
        if self.sound and key not in self.values:
            self.findings.add(self.at(key), "required", f"{key} is missing.", hint)
        return key in self.values

    def section(
        self, key: str, keys: tuple[str, ...], *, unknown: str = "unknown_key"
    ) -> "Section":
        """Answer the mapping under a key, an empty one where it is absent."""
        return Section(self.values.get(key, {}), self.at(key), self.scope, keys, unknown=unknown)

    def choice(self, key: str, choices: tuple[str, ...], default: str) -> str:
        """Read one of several words."""
        value = self.values.get(key, default)
        if not isinstance(value, str) or value not in choices:
            known = ", ".join(choices)
            code = "one_of" if isinstance(value, str) else "type"
            hint = suggestion(str(value), choices, f"Use one of {known}.")
            self.fault(key, code, f"{key} must be one of {known}.", hint)
            value = default
        self.canonical[key] = value
        return value

    def flag(self, key: str, *, default: bool) -> bool:
        """Read true or false."""
        value = self.values.get(key, default)
        if not isinstance(value, bool):
            self.fault(key, "type", f"{key} must be true or false.", "Without quotes.")
            value = default
        self.canonical[key] = value
        return value

    def quantity(
        self, key: str, bounds: Bounds, default: float | None = None
    ) -> float | Parameter | None:
        """Read a number within bounds or a `$parameter`; the default where it is absent."""
        if key not in self.values:
            if default is not None:
                self.canonical[key] = exact(default)
            return default
        found = self.any_quantity(self.values[key], self.at(key), bounds)
        if found is None:
            return default
        self.canonical[key] = f"${found.name}" if isinstance(found, Parameter) else exact(found)
        return found

    def any_quantity(self, value: Any, path: str, bounds: Bounds) -> float | Parameter | None:
        """Read a number within bounds or a `$parameter` at any path; None with a fault noted."""
        if isinstance(value, str) and _PARAMETER.fullmatch(value):
            return self._parameter(value[1:], path, bounds)
        if not is_number(value) or (bounds.whole and value != int(value)):
            hint = f"Write {bounds.described()}, or a $parameter."
            self.findings.add(path, "type", "A number is needed here.", hint)
            return None
        if not bounds.takes(value):
            hint = f"Write {bounds.described()}."
            self.findings.add(path, "out_of_range", f"{in_full(value)} cannot stand here.", hint)
            return None
        return float(value)

    def _parameter(self, name: str, path: str, bounds: Bounds) -> Parameter | None:
        if name not in self.scope.parameters:
            hint = suggestion(name, self.scope.parameters, f"Declare it at /params/{name}.")
            self.findings.add(path, "unknown_param", f"There is no parameter ${name}.", hint)
            return None
        rule = self.scope.parameters[name]
        code = "type" if rule is not None and bounds.whole and not rule.whole else "out_of_range"
        return Parameter(name) if self.scope.use(ParameterUse(name, path, bounds, code)) else None

    def expression(self, key: str, *, condition: bool, position: bool) -> Typed | None:
        """Read an expression of the kind; None, with faults noted, where it is none."""
        value = self.values[key]
        path = self.at(key)
        if not condition and is_number(value):
            value = repr(exact(value))
        if not isinstance(value, str):
            hint = "Put it in quotes."
            self.findings.add(path, "type", "An expression is a text.", hint)
            return None
        parsed = parse(value, path, self.findings)
        if parsed is None:
            return None
        self.canonical[key] = parsed.lexed.canonical
        typed = type_expression(parsed, path, self.scope, position=position)
        if typed is not None and typed.condition is not condition:
            needed = "a condition" if condition else "a number"
            hint = "Compare two numbers: `close > open`." if condition else "Write a price."
            self.findings.add(path, "type", f"The whole must be {needed}.", hint, 0)
            return None
        return typed
