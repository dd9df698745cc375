"""What the names in an expression may mean, and how parameters are bound to limits."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from core.trading.strategy.findings import Findings
from core.trading.strategy.program import State
from core.trading.strategy.tree import Typed
from core.wording import in_full

PRICES = ("open", "high", "low", "close", "volume", "hl2", "hlc3", "ohlc4")
POSITION_NAMES = {
    "position": State.POSITION,
    "entry_price": State.ENTRY_PRICE,
    "bars_held": State.BARS_HELD,
    "unrealized_pct": State.UNREALIZED_PCT,
    "equity": State.EQUITY,
}
MAX_LAG = 10_000


@dataclass(frozen=True, slots=True)
class Bounds:
    """What numbers a place takes: from `low` (left out where `above`) to `high`."""

    low: float
    high: float
    whole: bool = False
    above: bool = False
    choices: tuple[float, ...] = ()

    def takes(self, value: float) -> bool:
        """Say whether a number may stand here, its kind apart."""
        if self.choices and value not in self.choices:
            return False
        return (value > self.low if self.above else value >= self.low) and value <= self.high

    def described(self) -> str:
        """Answer what may stand here, in words."""
        if self.choices:
            return "one of " + ", ".join(map(in_full, self.choices))
        kind = "a whole number" if self.whole else "a number"
        start = f"above {in_full(self.low)}" if self.above else f"from {in_full(self.low)}"
        return f"{kind} {start} to {in_full(self.high)}"


@dataclass(frozen=True, slots=True)
class ParameterRule:
    """One of the document's params: the closed range or the values that it may take."""

    name: str
    whole: bool
    default: float
    low: float | None = None
    high: float | None = None
    step: float | None = None
    values: tuple[float, ...] = ()

    def extremes(self) -> tuple[float, ...]:
        """Answer the numbers that every use must bear: bounds or values, and the default."""
        listed = self.values or (self.low, self.high)
        return (*(value for value in listed if value is not None), self.default)

    def described(self) -> str:
        """Answer what may be given, in words."""
        if self.values:
            return "one of " + ", ".join(map(in_full, self.values))
        kind = "a whole number" if self.whole else "a number"
        start = "" if self.low is None else f" from {in_full(self.low)}"
        end = "" if self.high is None else f" to {in_full(self.high)}"
        return kind + start + end


@dataclass(frozen=True, slots=True)
class ParameterUse:
    """A place that a parameter stands in for, with the code of a value that does not fit."""

    parameter: str
    path: str
    bounds: Bounds
    code: str
    at: int | None = None


@dataclass(frozen=True, slots=True)
class KnownInput:
    """What expressions may ask of an input: its outputs, and which are whole numbers."""

    outputs: tuple[str, ...]
    whole: tuple[bool, ...]


@dataclass(slots=True)
class Scope:
    """The names of one document, filled while it is read.

    An input or a let that is itself at fault stands with None, so that its uses are not faults.
    """

    findings: Findings
    parameters: dict[str, ParameterRule | None] = field(default_factory=dict)
    inputs: dict[str, KnownInput | None] = field(default_factory=dict)
    lets: dict[str, Typed | None] = field(default_factory=dict)
    uses: list[ParameterUse] = field(default_factory=list)
    used: set[str] = field(default_factory=set)

    def use(self, use: ParameterUse) -> bool:
        """Note a use of a parameter and check it; False, with a fault noted, where it fails."""
        self.used.add(use.parameter)
        rule = self.parameters[use.parameter]
        if rule is None:
            return True
        self.uses.append(use)
        if use.bounds.whole and not rule.whole:
            message = f"${use.parameter} is a number, and a whole number is needed here."
            self.findings.add(use.path, use.code, message, "Declare it as `type: int`.", use.at)
            return False
        for value in rule.extremes():
            if not use.bounds.takes(value):
                self._refuse(use, value)
                return False
        return True

    def _refuse(self, use: ParameterUse, value: float) -> None:
        message = (
            f"${use.parameter} may be {in_full(value)} by its declaration, which cannot stand here."
        )
        hint = f"Narrow the parameter; {use.bounds.described()} may stand here."
        self.findings.add(use.path, use.code, message, hint, use.at)


def misfits(uses: tuple[ParameterUse, ...], values: Mapping[str, float], into: Findings) -> None:
    """Note every use that these values of the parameters do not fit."""
    for use in uses:
        value = values[use.parameter]
        if not use.bounds.takes(value):
            message = f"${use.parameter} is {in_full(value)}, which cannot stand at {use.path}."
            into.add(use.path, use.code, message, f"Give {use.bounds.described()}.", use.at)
