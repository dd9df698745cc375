"""A strategy that has been read: every rule of its document, checked, with defaults filled in."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from core.errors import Fault
from core.trading.bars.timeframes import Timeframe
from core.trading.indicators.catalogue import Indicator
from core.trading.strategy.scope import ParameterRule, ParameterUse
from core.trading.strategy.signals import Ambiguity, Entry, Fill, LevelKind, SizingMethod
from core.trading.strategy.tree import Node, Output, Parameter, Price, Typed

Quantity: TypeAlias = float | Parameter
Source: TypeAlias = Price | Output


@dataclass(frozen=True, slots=True)
class InputRule:
    """An indicator with its arguments (all of them), over its series, at its timeframe."""

    indicator: Indicator
    arguments: Mapping[str, Quantity]
    sources: tuple[Source, ...]
    timeframe: Timeframe


@dataclass(frozen=True, slots=True)
class SideRule:
    """When one direction is entered and left; `exit` is None where only other rules leave it."""

    entry: Typed
    exit: Typed | None


@dataclass(frozen=True, slots=True)
class LevelRule:
    """A stop, target or trail.

    `quantity`: percent, multiples of r, or the factor of `distance`. `distance`: the input that
    is an ATR. `price`: the level itself.
    """

    kind: LevelKind
    quantity: Quantity = 0.0
    distance: Output | None = None
    price: Node | None = None


@dataclass(frozen=True, slots=True)
class RiskRules:
    """What protects a position and the account; percentages in percent, durations in bars."""

    stop: LevelRule | None = None
    target: LevelRule | None = None
    trail: LevelRule | None = None
    trail_after_r: Quantity | None = None
    max_bars: Quantity | None = None
    cooldown_bars: Quantity = 0.0
    daily_loss_halt_percent: Quantity | None = None
    drawdown_halt_percent: Quantity | None = None


@dataclass(frozen=True, slots=True)
class SizingRule:
    """How many units an entry takes; the numbers are those of `signals.Sizing`."""

    method: SizingMethod = SizingMethod.PERCENT
    value: Quantity = 100.0
    max_leverage: Quantity = 1.0
    lookback: Quantity = 0.0
    max_weight: Quantity | None = None


@dataclass(frozen=True, slots=True)
class OrderRules:
    """How orders reach the market; `price` is the level of limit and stop entries."""

    entry: Entry = Entry.MARKET
    price: Node | None = None
    valid_bars: Quantity = 1.0
    limit_through: bool = False
    fill: Fill = Fill.NEXT_OPEN
    ambiguity: Ambiguity = Ambiguity.WORST


@dataclass(frozen=True, slots=True)
class SessionRule:
    """When entries are allowed: from < stamp <= to on the wall clock of `timezone`.

    `days`: weekdays with Monday 0, of the session's beginning. `start`, `end`: microseconds
    since midnight; a session whose start is not before its end goes over midnight.
    """

    timezone: str = "UTC"
    days: tuple[int, ...] = (0, 1, 2, 3, 4, 5, 6)
    start: int = 0
    end: int = 86_400_000_000
    flat_at_close: bool = False


@dataclass(frozen=True, slots=True)
class Strategy:
    """A valid strategy document.

    `symbols`: empty where the run names the bars. `lets`: in an order in which each refers to
    earlier ones only. `parameter_uses`: what the values of the params must fit.
    `platform_bound`: the inputs whose bits depend on the CPU; results of such a strategy agree
    between platforms to 1e-9 only. `canonical`: the document with defaults filled in, without
    name and description; `spec_hash`: its SHA-256 in RFC 8785's form, hexadecimal.
    """

    name: str
    description: str
    timeframe: Timeframe
    symbols: tuple[str, ...]
    parameters: Mapping[str, ParameterRule]
    inputs: Mapping[str, InputRule]
    lets: Mapping[str, Typed]
    long: SideRule | None
    short: SideRule | None
    sizing: SizingRule
    risk: RiskRules
    orders: OrderRules
    session: SessionRule
    parameter_uses: tuple[ParameterUse, ...]
    platform_bound: tuple[str, ...]
    warnings: tuple[Fault, ...]
    canonical: Mapping[str, Any]
    spec_hash: str
