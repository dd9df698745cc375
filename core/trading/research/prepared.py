"""What the cells of a sweep have in common: the strategy, the bars, the grid, what is computed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from core.errors import Fault
from core.trading.backtest.metrics import Span, span_of
from core.trading.backtest.plan import market_of
from core.trading.backtest.profiles import profile_warnings
from core.trading.backtest.records import Market
from core.trading.backtest.run import as_read, bars_to_trade, identity_of
from core.trading.backtest.settings import Settings, check_settings
from core.trading.backtest.warmup import input_warmup
from core.trading.bars.series import Bars
from core.trading.research.grid import Grid
from core.trading.research.identities import CellIdentities
from core.trading.strategy.compiling import conditions_of
from core.trading.strategy.frame import Frame
from core.trading.strategy.rules import Strategy
from core.trading.strategy.session_flags import SessionFlags, flag_session
from core.trading.strategy.sharing import Shared
from core.trading.strategy.signals import SizingMethod
from core.trading.strategy.tree import Node

MOST_SHARED_BYTES = 64 * 1024**2


@dataclass(frozen=True, slots=True)
class Cell:
    """What a single run with these parameters answers, but for its trades and its series.

    `params`: every parameter's value. `summary`: None where the run is refused, with `errors`
    saying why. `warnings`: the document's.
    """

    number: int
    params: Mapping[str, float]
    result_id: str
    summary: Mapping[str, Any] | None
    warnings: tuple[Fault, ...] = ()
    errors: tuple[Fault, ...] = ()


@dataclass(frozen=True, slots=True)
class Sweep:
    """A strategy over one series of bars, ready to run at any cell of a grid; threads share it.

    `strategy`: as the profile reads it. `rest_names`: the swept parameters that anything but
    the conditions reads, None where the rest depends on the conditions, too.
    """

    strategy: Strategy
    bars: Bars
    grid: Grid
    settings: Settings
    frame: Frame
    session: SessionFlags
    market: Market
    span: Span
    shared: Shared
    identities: CellIdentities
    warnings: tuple[Fault, ...]
    conditions: list[Node | None]
    rest_names: tuple[str, ...] | None
    _warmups: dict[tuple[Any, ...], int] = field(default_factory=dict)

    def warmup(self, values: Mapping[str, float]) -> int:
        """Answer `warmup_bars` of a cell."""
        return max((self._input_warmup(name, values) for name in self.strategy.inputs), default=0)

    def _input_warmup(self, name: str, values: Mapping[str, float]) -> int:
        key = (name, *[values[swept] for swept in self.shared.swept_in_input(name)])
        if key not in self._warmups:
            rule = self.strategy.inputs[name]
            self._warmups[key] = input_warmup(rule, self.strategy, values)
        return self._warmups[key]


def prepare_sweep(
    strategy: Strategy,
    bars: Bars,
    grid: Grid,
    *,
    settings: Settings | None = None,
    warnings: Sequence[Fault] = (),
    content_hash: str | None = None,
    most_shared_bytes: int = MOST_SHARED_BYTES,
) -> Sweep:
    """Answer a sweep that `run_cells` may run any cells of; what cells share is computed once.

    `warnings`, `content_hash`: as `run_backtest` takes them. `most_shared_bytes`: of columns
    kept for other cells. Raises InvalidInputError where settings, timeframe, symbol or range do
    not fit; what does not fit in one cell is told in that cell.
    """
    settings = settings or Settings()
    check_settings(settings)
    first, stop = bars_to_trade(strategy, bars, settings)
    frame = Frame(bars, strategy.session.timezone)
    identity = identity_of(strategy, grid.params(0), bars, settings, content_hash=content_hash)
    strategy = as_read(strategy, settings)
    swept = [axis.name for axis in grid.axes if len(axis.values) > 1]
    shared = Shared(strategy, swept, most_shared_bytes)
    return Sweep(
        strategy=strategy,
        bars=bars,
        grid=grid,
        settings=settings,
        frame=frame,
        session=flag_session(frame.clock, strategy.session),
        market=market_of(bars),
        span=span_of(bars, frame.clock.day, settings.cash, first=first, stop=stop),
        shared=shared,
        identities=CellIdentities(identity),
        warnings=(*warnings, *strategy.warnings, *profile_warnings(settings)),
        conditions=conditions_of(strategy),
        rest_names=_rest_names(strategy, shared),
    )


def _rest_names(strategy: Strategy, shared: Shared) -> tuple[str, ...] | None:
    sides = [side for side in (strategy.long, strategy.short) if side is not None]
    typed = [part for side in sides for part in (side.entry, side.exit) if part is not None]
    weighs_entries = strategy.sizing.method is SizingMethod.VOL_TARGET
    if weighs_entries or any(part.on_position for part in typed):
        return None
    return shared.swept_in_rules(strategy.risk, strategy.orders, strategy.sizing)
