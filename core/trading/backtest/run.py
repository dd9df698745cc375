"""The way from a strategy and bars to a result, the same for the command line and the workers."""

from collections.abc import Mapping, Sequence
from typing import Any

from core.errors import Fault, InvalidInputError
from core.trading.backtest.bar_range import traded_range
from core.trading.backtest.crosses import with_strict_crosses
from core.trading.backtest.metrics import span_of, summarise
from core.trading.backtest.profiles import profile_faults, profile_warnings
from core.trading.backtest.result import Identity, Result, build_result
from core.trading.backtest.settings import Profile, Settings, check_settings
from core.trading.backtest.simulate import Simulation, close_open_position, prepare, run
from core.trading.backtest.warmup import warmup_bars
from core.trading.bars.canonical import data_hash
from core.trading.bars.series import Bars
from core.trading.strategy.compiling import compile_signals, timeframe_fault
from core.trading.strategy.frame import Frame
from core.trading.strategy.parameters import resolve_params
from core.trading.strategy.rules import Strategy
from core.trading.strategy.signals import Signals
from core.trading.strategy.universe import symbol_fault
from core.wording import counted

_NO_TRADES = Fault(
    path="",
    code="no_trades",
    message="the strategy never traded in this range",
    hint="look at rejected orders, and whether the entry condition is ever true",
)


def run_backtest(
    strategy: Strategy,
    bars: Bars,
    *,
    params: Mapping[str, Any] | None = None,
    settings: Settings | None = None,
    warnings: Sequence[Fault] = (),
    content_hash: str | None = None,
) -> Result:
    """Run a strategy over one symbol's bars and answer the result.

    `params`: those that differ from their defaults. `warnings`: of reading the bars, to stand
    in the document with the strategy's and the run's. `content_hash`: the bars' `data_hash` where
    who loaded them has checked it, as `load_cached` does. Raises InvalidInputError where settings,
    parameters, timeframe, symbol, range or profile do not fit, with every fault found.
    """
    settings = settings or Settings()
    check_settings(settings)
    values = resolve_params(strategy, params or {})
    first, stop = bars_to_trade(strategy, bars, settings)
    check_history(warmup_bars(strategy, values), stop)
    frame = Frame(bars, strategy.session.timezone)
    signals = compile_signals(as_read(strategy, settings), values, bars, frame=frame)
    simulation = simulate(signals, bars, settings, first=first, stop=stop)
    notes = [*warnings, *strategy.warnings, *profile_warnings(settings), *outcome_notes(simulation)]
    identity = identity_of(strategy, values, bars, settings, content_hash=content_hash)
    span = span_of(bars, frame.clock.day, settings.cash, first=first, stop=stop)
    summary = summarise(simulation, span)
    return build_result(identity, simulation, bars, summary, notes)


def bars_to_trade(strategy: Strategy, bars: Bars, settings: Settings) -> tuple[int, int]:
    """Answer the traded bars [first, stop), whatever the parameters.

    Raises InvalidInputError where timeframe, symbol or range do not fit.
    """
    faults = [timeframe_fault(strategy, bars), symbol_fault(strategy, bars.symbol)]
    unfit = [fault for fault in faults if fault is not None]
    if unfit:
        raise InvalidInputError(unfit[0].message, errors=unfit)
    return traded_range(bars, settings)


def as_read(strategy: Strategy, settings: Settings) -> Strategy:
    """Answer the strategy as the settings' profile reads it."""
    if settings.profile is Profile.BACKTESTING_PY:
        return with_strict_crosses(strategy)
    return strategy


def identity_of(
    strategy: Strategy,
    values: Mapping[str, float],
    bars: Bars,
    settings: Settings,
    *,
    content_hash: str | None = None,
) -> Identity:
    """Answer what decides a run's result. `values`: every parameter's value."""
    return Identity(
        spec_hash=strategy.spec_hash,
        params=values,
        data_hash=content_hash or data_hash(bars),
        symbol=bars.symbol,
        timeframe=bars.timeframe.label,
        settings=settings,
        platform_bound=strategy.platform_bound,
    )


def outcome_notes(simulation: Simulation) -> tuple[Fault, ...]:
    """Answer the warnings that follow from how a run went."""
    traded = len(simulation.trades) > 0 or simulation.state["quantity"][0] != 0.0
    return () if traded else (_NO_TRADES,)


def simulate(
    signals: Signals,
    bars: Bars,
    settings: Settings,
    *,
    first: int = 0,
    stop: int | None = None,
) -> Simulation:
    """Run compiled signals over bars [first, stop) and answer the finished simulation.

    Raises InvalidInputError where the settings' profile cannot express what is asked.
    """
    check_profile(profile_faults(signals, settings), settings)
    simulation = prepare(signals, bars, settings, first=first, stop=stop)
    run(simulation)
    if settings.close_at_end:
        close_open_position(simulation)
    return simulation


def check_profile(faults: Sequence[Fault], settings: Settings) -> None:
    """Raise InvalidInputError where the profile cannot express what was found."""
    if faults:
        message = f"The profile {settings.profile.value} cannot express this run."
        raise InvalidInputError(message, errors=faults)


def check_history(needed: int, bars: int) -> None:
    """Raise InvalidInputError where all the bars there are only warm the strategy up."""
    if bars <= needed:
        fault = Fault(
            path="/bars",
            code="insufficient_history",
            message=f"the strategy warms up for {needed:,} and is given {counted(bars, 'bar')}",
            hint="give more bars, or shorten the periods",
        )
        raise InvalidInputError(fault.message, errors=[fault])
