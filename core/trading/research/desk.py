"""One cell after another on one thread, in memory that is used again."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from core.errors import Fault, InvalidInputError
from core.trading.backtest.metrics import measure_run, sum_curves, summary_of
from core.trading.backtest.plan import code_of, pack_events, plan_of, room_for_events, rules_of
from core.trading.backtest.profiles import SWITCHES, profile_faults
from core.trading.backtest.records import Books, Plan, RecordArray
from core.trading.backtest.run import check_history, check_profile, outcome_notes
from core.trading.backtest.run_numbers import NUMBERS
from core.trading.backtest.simulate import (
    FIRST_ROWS,
    Simulation,
    close_open_position,
    empty_books,
    opening_state,
    prepare,
    run,
)
from core.trading.research.prepared import Cell, Sweep
from core.trading.strategy.compiling import condition_flags, signals_of
from core.trading.strategy.evaluation import Evaluation

LANES = 4
_BARS_AT_ONCE = 2**16
_NO_CODE = code_of(None, 0)


class StoppedError(Exception):
    """Raised when a desk is told to stop in the middle of its cells."""


@dataclass(frozen=True, slots=True)
class _Rest:
    """All that a cell's run reads but for its events, and why the profile refuses it."""

    plan: Plan
    rules: RecordArray
    faults: Sequence[Fault]


class Desk:
    """Runs cells of a sweep, four at a time: their curves are summed side by side.

    `is_stopped`: asked between stretches of bars; the answer True ends the work.
    """

    def __init__(self, sweep: Sweep, is_stopped: Callable[[], bool]) -> None:
        span, bars = sweep.span, len(sweep.bars)
        self._sweep = sweep
        self._is_stopped = is_stopped
        self._curves = np.empty((LANES, span.stop - span.first))
        self._sums = np.zeros(LANES)
        self._numbers: RecordArray = np.zeros(LANES, NUMBERS)
        self._books = empty_books(0, rows=min(bars + LANES, FIRST_ROWS))
        self._events = room_for_events(bars)
        self._words = self._events.view("<u8")
        self._first_decision = SWITCHES[sweep.settings.profile].first_decision_bar
        self._state = opening_state(sweep.settings.cash)
        self._opening = self._state.tobytes()
        self._work = np.empty(span.room(0))

    def cells(self, numbers: Sequence[int]) -> list[Cell]:
        """Answer cells in the order of their numbers; raises StoppedError when told to stop."""
        done: list[Cell] = []
        with np.errstate(all="ignore"):
            for at in range(0, len(numbers), LANES):
                done += self._group(numbers[at : at + LANES])
        return done

    def _group(self, numbers: Sequence[int]) -> list[Cell]:
        told: list[tuple[tuple[Fault, ...], tuple[Fault, ...]]] = []
        grid = [self._sweep.grid.params(number) for number in numbers]
        for lane, values in enumerate(grid):
            try:
                told.append((self._run(lane, values), ()))
            except InvalidInputError as error:
                told.append(((), error.errors))
        sum_curves(self._curves, self._sums)
        return [
            self._cell(number, grid[lane], lane, *told[lane]) for lane, number in enumerate(numbers)
        ]

    def _cell(
        self,
        number: int,
        values: Mapping[str, float],
        lane: int,
        notes: tuple[Fault, ...],
        errors: tuple[Fault, ...],
    ) -> Cell:
        sweep = self._sweep
        summary = None
        if not errors:
            row = self._numbers[lane : lane + 1]
            summary = summary_of(row, float(self._sums[lane]), sweep.span)
        warnings = sweep.warnings + notes if notes else sweep.warnings
        result_id = sweep.identities.result_id(values)
        return Cell(number, values, result_id, summary, warnings, errors)

    def _run(self, lane: int, values: Mapping[str, float]) -> tuple[Fault, ...]:
        """Run a cell, write its curve and its numbers, and answer its own warnings."""
        sweep, span = self._sweep, self._sweep.span
        check_history(sweep.warmup(values), span.stop)
        simulation = self._simulation(lane, values)
        while simulation.next_bar < span.stop:
            if self._is_stopped():
                raise StoppedError
            run(simulation, until=simulation.next_bar + _BARS_AT_ONCE)
        if sweep.settings.close_at_end:
            close_open_position(simulation)
        self._books = simulation.books
        self._measure(lane, simulation)
        return outcome_notes(simulation)

    def _measure(self, lane: int, simulation: Simulation) -> None:
        span = self._sweep.span
        room = span.room(int(self._books.written["trades"][0]))
        if room > len(self._work):
            self._work = np.empty(2 * room)
        measure_run(simulation, span, self._work, self._numbers[lane : lane + 1])

    def _simulation(self, lane: int, values: Mapping[str, float]) -> Simulation:
        """Answer a cell's run before its first bar, on this desk's books."""
        sweep, span = self._sweep, self._sweep.span
        evaluation = Evaluation(sweep.strategy, values, sweep.frame, shared=sweep.shared)
        self._books.written.view(np.int64)[:] = 0
        trades, rejections, _, *desk = self._books
        books = Books(trades, rejections, self._curves[lane], *desk)
        if sweep.rest_names is None:
            signals = signals_of(evaluation, sweep.session)
            check_profile(profile_faults(signals, sweep.settings), sweep.settings)
            return prepare(
                signals, sweep.bars, sweep.settings, first=span.first, stop=span.stop, books=books
            )
        flags = condition_flags(evaluation, sweep.conditions, sweep.session)
        pack_events(flags[0], flags[1], flags[2], flags[3], self._events)
        self._events[: self._first_decision] = 0
        self._state.view(np.uint8)[:] = np.frombuffer(self._opening, np.uint8)
        rest = self._rest(evaluation, sweep.rest_names)
        check_profile(rest.faults, sweep.settings)
        return Simulation(
            market=sweep.market,
            plan=Plan(self._events, self._words, *rest.plan[2:]),
            code=_NO_CODE,
            rules=rest.rules,
            state=self._state,
            first=span.first,
            stop=span.stop,
            next_bar=span.first,
            books=books,
        )

    def _rest(self, evaluation: Evaluation, names: tuple[str, ...]) -> _Rest:
        """Answer what the run reads beside its events, from another cell of the same values."""
        sweep = self._sweep
        key = ("rest", *[evaluation.values[name] for name in names])
        found: _Rest | None = sweep.shared.get(key)
        if found is None:
            signals = signals_of(evaluation, sweep.session)
            plan = plan_of(signals, sweep.bars, sweep.settings)
            plan = plan._replace(events=self._events, words=self._words)
            rules = rules_of(signals, sweep.settings, first=sweep.span.first, coasts=True)
            found = _Rest(plan, rules, profile_faults(signals, sweep.settings))
            sweep.shared.put(key, found, plan[2:])
        return found
