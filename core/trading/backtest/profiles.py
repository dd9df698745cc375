"""Which rules tell the profiles apart, and what a profile cannot express."""

from dataclasses import dataclass

from core.errors import Fault
from core.trading.backtest.events import SizeRule
from core.trading.backtest.settings import Profile, Settings
from core.trading.strategy.signals import Ambiguity, Entry, Fill, LevelKind, Signals, SizingMethod


@dataclass(frozen=True, slots=True)
class Switches:
    """The kernel's rules that differ between engines; the defaults are `native`.

    `levels_first`: a level hit swallows the orders of its bar. `drop_conflicts`: entry and exit
    of a side together are both ignored. The others say what their names say.
    """

    levels_first: bool = False
    levels_on_entry_bar: bool = True
    levels_from_signal_close: bool = False
    target_gap_first: bool = True
    drop_conflicts: bool = False
    exits_slip: bool = True
    stops_slip: bool = True
    ruin_at_close: bool = False
    first_decision_bar: int = 0
    sizing: SizeRule | None = None


SWITCHES = {
    Profile.NATIVE: Switches(),
    Profile.BACKTESTING_PY: Switches(
        levels_from_signal_close=True,
        target_gap_first=False,
        exits_slip=False,
        stops_slip=False,
        ruin_at_close=True,
        first_decision_bar=1,
        sizing=SizeRule.WHOLE_UNITS,
    ),
    Profile.VECTORBT: Switches(
        levels_first=True,
        levels_on_entry_bar=False,
        target_gap_first=False,
        drop_conflicts=True,
        stops_slip=False,
        sizing=SizeRule.ALL_CASH,
    ),
}


_ALL = 100.0


def profile_faults(signals: Signals, settings: Settings) -> list[Fault]:
    """Answer what the strategy or the run asks for and the profile cannot express."""
    profile = settings.profile
    if profile is Profile.NATIVE:
        return []
    checks = {
        "/sizing/method": signals.sizing.method is not SizingMethod.PERCENT,
        "/sizing/percent": not 0.0 < signals.sizing.value <= _ALL,
        "/sizing/max_leverage": signals.sizing.max_leverage != 1.0,
        "/orders/entry": signals.entry is not Entry.MARKET,
        "/orders/fill": signals.fill is not Fill.NEXT_OPEN,
        "/orders/on_ambiguous_bar": signals.ambiguity is not Ambiguity.WORST,
        "/risk/trail": signals.trail is not None,
        "/risk/daily_loss_halt": signals.daily_loss_halt_percent is not None,
        "/risk/portfolio_drawdown_halt": signals.drawdown_halt_percent is not None,
        "/session/flat_at_close": signals.flat_at_close,
        "/costs/per_unit": settings.costs.per_unit > 0.0,
        "/costs/minimum": settings.costs.minimum > 0.0,
        "/costs/borrow_apr": settings.costs.borrow_apr > 0.0,
        "/costs/finance_apr": settings.costs.finance_apr > 0.0,
        "/close_at_end": settings.close_at_end,
    }
    if profile is Profile.VECTORBT:
        partial = signals.sizing.value != _ALL
        checks["/sizing/percent"] |= partial and bool(signals.long and signals.short)
        for name, level in (("stop", signals.stop), ("target", signals.target)):
            relative = (LevelKind.PERCENT, LevelKind.R)
            checks[f"/risk/{name}"] = level is not None and level.kind not in relative
    return [_not_expressible(path, profile) for path, refused in checks.items() if refused]


def profile_warnings(settings: Settings) -> list[Fault]:
    """Answer what the profile ignores."""
    if settings.profile is Profile.NATIVE or settings.lot == 0.0:
        return []
    message = f"the profile {settings.profile.value} sizes as that engine does; lot is ignored"
    return [Fault(path="/lot", code="ignored_by_profile", message=message)]


def _not_expressible(path: str, profile: Profile) -> Fault:
    return Fault(
        path=path,
        code="not_in_profile",
        message=f"the profile {profile.value} cannot express this",
        hint="run it with the profile native",
    )
