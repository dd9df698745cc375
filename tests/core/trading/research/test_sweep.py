import threading
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from core.errors import Fault, InvalidInputError
from core.trading.backtest.run import run_backtest
from core.trading.backtest.settings import Costs, Profile, Settings
from core.trading.bars.series import Bars
from core.trading.research.desk import Desk, StoppedError
from core.trading.research.grid import Grid, read_grid
from core.trading.research.prepared import Cell, Sweep, prepare_sweep
from core.trading.research.sweep import run_cells
from core.trading.strategy.reading import read_strategy
from core.trading.strategy.rules import Strategy
from tests.laws.strategies import GUARDED, PLAIN, SESSION, hourly_bars

BARS = hourly_bars(5, 600)
PERIODS = {
    "fast_n": {"type": "int", "default": 3, "min": 2, "max": 2000},
    "slow_n": {"type": "int", "default": 8, "min": 2, "max": 2000},
}
AVERAGES = {
    "fast": {"ta": "SMA", "with": {"timeperiod": "$fast_n"}},
    "slow": {"ta": "SMA", "with": {"timeperiod": "$slow_n"}},
}
PAIRS = {"fast_n": [2, 3, 5], "slow_n": [8, 13]}
SWEPT: dict[str, tuple[dict[str, Any], dict[str, list[Any]]]] = {
    "plain": (PLAIN | {"params": PERIODS, "inputs": AVERAGES}, PAIRS),
    "guarded": (
        GUARDED | {"params": PERIODS | GUARDED["params"], "inputs": GUARDED["inputs"] | AVERAGES},
        {"x": [0.5, 1.5, 4], "fast_n": [2, 3]},
    ),
    "session": (
        SESSION
        | {
            "params": {"n": {"type": "int", "default": 3, "min": 2, "max": 9}} | PERIODS,
            "inputs": SESSION["inputs"]
            | {
                "day": {"ta": "SMA", "with": {"timeperiod": "$n"}, "timeframe": "1d"},
                "smooth": {"ta": "EMA", "with": {"timeperiod": "$fast_n"}, "on": "rsi"},
            },
            "long": SESSION["long"] | {"exit": "close < lowest(low, $n)[1] or smooth[$n] > 60"},
        },
        {"n": [2, 3, 5], "fast_n": [2, 4]},
    ),
    "levels": (
        PLAIN
        | {
            "params": PERIODS | {"x": {"type": "number", "default": 2}},
            "inputs": AVERAGES | {"atr": {"ta": "ATR", "with": {"timeperiod": "$slow_n"}}},
            "risk": {
                "stop": {"atr": {"of": "atr", "times": "$x"}},
                "target": {"r": "$x"},
                "trail": {"percent": 2},
                "cooldown_bars": 2,
            },
            "sizing": {"method": "risk", "percent": 2, "max_leverage": 2},
        },
        {"x": [0.5, 1, 3], "slow_n": [8, 13], "fast_n": [3, 4]},
    ),
    "fixed": (
        PLAIN
        | {
            "params": PERIODS | {"units": {"type": "number", "default": 2}},
            "inputs": AVERAGES,
            "sizing": {"method": "fixed", "units": "$units", "max_leverage": 4},
            "short": {"entry": "close < fast - 0.5", "exit": "not close < fast"},
        },
        {"units": [0.5, 40, 400], "fast_n": [2, 3]},
    ),
    "weighed": (
        PLAIN
        | {
            "params": PERIODS | {"look": {"type": "int", "default": 6, "min": 2, "max": 20}},
            "inputs": AVERAGES,
            "sizing": {"method": "vol_target", "annual_percent": 15, "lookback": "$look"},
        },
        {"look": [3, 9], "fast_n": [2, 3, 9]},
    ),
    "ordered": (
        PLAIN
        | {
            "params": PERIODS | {"wait": {"type": "int", "default": 1, "min": 1, "max": 9}},
            "inputs": AVERAGES,
            "orders": {"entry": {"stop": "highest(high, $slow_n)"}, "valid_bars": "$wait"},
            "sizing": {"method": "equal_weight"},
        },
        {"wait": [1, 4], "slow_n": [5, 9]},
    ),
}
RUNS = {
    "default": Settings(),
    "costly": Settings(lot=1, costs=Costs(commission_bps=5, minimum=1, borrow_apr=2), cash=3000.0),
    "closed": Settings(costs=Costs(slippage_bps=3), close_at_end=True),
}


def a_sweep(
    document: Mapping[str, Any],
    axes: Mapping[str, list[Any]],
    how: Settings | None = None,
    *,
    bars: Bars = BARS,
    **more: Any,
) -> tuple[Strategy, Grid, Sweep]:
    strategy = read_strategy(dict(document))
    grid = read_grid(strategy, axes, most_cells=10_000)
    return strategy, grid, prepare_sweep(strategy, bars, grid, settings=how, **more)


def single(strategy: Strategy, bars: Bars, params: Mapping[str, float], how: Settings) -> str:
    """Answer all that a cell says of a single run, every bit of it."""
    try:
        result = run_backtest(strategy, bars, params=params, settings=how)
    except InvalidInputError as error:
        return repr(error.errors)
    warnings = [Fault(**warning) for warning in result.content()["warnings"]]
    return repr((result.result_id, sorted(result.summary.items()), warnings))


def told(cell: Cell) -> str:
    if cell.summary is None:
        return repr(cell.errors)
    return repr((cell.result_id, sorted(cell.summary.items()), list(cell.warnings)))


@pytest.mark.parametrize("how", RUNS)
@pytest.mark.parametrize("name", SWEPT)
def test_a_cell_is_the_single_run_bit_for_bit(name: str, how: str) -> None:
    strategy, grid, sweep = a_sweep(*SWEPT[name], RUNS[how])
    cells = list(run_cells(sweep, range(len(grid)), threads=2))
    assert [cell.number for cell in cells] == list(range(len(grid)))
    assert [cell.params for cell in cells] == [grid.params(k) for k in range(len(grid))]
    assert [told(cell) for cell in cells] == [
        single(strategy, BARS, cell.params, RUNS[how]) for cell in cells
    ]
    assert any(cell.summary and cell.summary["trades"] for cell in cells)
    assert len({told(cell) for cell in cells}) == len(cells)


@pytest.mark.parametrize("profile", Profile)
@pytest.mark.parametrize("percent", [100, 150])
def test_a_cell_is_the_single_run_under_every_profile(profile: Profile, percent: int) -> None:
    """A percent above 100 is refused by the profiles, in each cell as in the single run."""
    document, axes = SWEPT["plain"]
    params = document["params"] | {"part": {"type": "number", "default": 50}}
    document = document | {
        "params": params,
        "sizing": {"method": "percent", "percent": "$part"},
        "risk": {"stop": {"percent": 2}},
    }
    how = Settings(profile=profile, costs=Costs(commission_bps=3), lot=1)
    strategy, grid, sweep = a_sweep(document, axes | {"part": [50, 100, percent + 1]}, how)
    cells = list(run_cells(sweep, range(len(grid))))
    assert [told(cell) for cell in cells] == [
        single(strategy, BARS, cell.params, how) for cell in cells
    ]
    refused = sum(cell.summary is None for cell in cells)
    assert (refused > 0) == (profile is not Profile.NATIVE)


def test_a_cell_that_fails_says_why_and_harms_no_other() -> None:
    document, _ = SWEPT["plain"]
    axes = {"fast_n": [2, 700, 3], "slow_n": [8, 1900]}
    strategy, grid, sweep = a_sweep(document, axes)
    cells = list(run_cells(sweep, range(len(grid))))
    assert [[fault.code for fault in cell.errors] for cell in cells] == [
        *([], ["insufficient_history"]) * 2,
        *(["insufficient_history"],) * 2,
    ]
    assert [told(cell) for cell in cells] == [
        single(strategy, BARS, cell.params, Settings()) for cell in cells
    ]


def test_a_cell_that_is_ruined_or_never_trades_is_told_as_such() -> None:
    document, _ = SWEPT["plain"]
    sizing = {"method": "percent", "percent": 3000, "max_leverage": 30}
    how = Settings(costs=Costs(commission_bps=100))
    strategy, grid, sweep = a_sweep(
        document | {"sizing": sizing}, {"fast_n": [2, 3], "slow_n": [8, 590]}, how
    )
    cells = list(run_cells(sweep, range(len(grid))))
    assert [bool(cell.summary and cell.summary["ruined"]) for cell in cells] == [True, False] * 2
    assert [fault.code for fault in cells[1].warnings] == ["no_trades"]
    assert [told(cell) for cell in cells] == [
        single(strategy, BARS, cell.params, how) for cell in cells
    ]


def test_a_sweep_over_a_range_of_the_bars_is_warmed_up_as_a_single_run() -> None:
    from_, to = np.datetime64("2024-03-12"), np.datetime64("2024-03-25")
    how = Settings(start=from_.item(), end=to.item())
    strategy, grid, sweep = a_sweep(*SWEPT["session"], how)
    for cell in run_cells(sweep, range(len(grid))):
        assert told(cell) == single(strategy, BARS, cell.params, how)


DRAWN = examples(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@DRAWN
@given(data=st.data())
def test_any_cell_of_any_grid_is_the_single_run(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(SWEPT)))
    document, axes = SWEPT[name]
    names = data.draw(st.lists(st.sampled_from(sorted(axes)), min_size=1, unique=True))
    drawn = {
        name: data.draw(st.lists(st.sampled_from(axes[name]), min_size=1, unique=True))
        for name in names
    }
    bars = hourly_bars(data.draw(st.integers(0, 99)), data.draw(st.integers(1, 200)))
    how = data.draw(st.sampled_from(sorted(RUNS.values(), key=repr)))
    most = data.draw(st.sampled_from([0, 5_000, 2**20]))
    strategy, grid, sweep = a_sweep(document, drawn, how, bars=bars, most_shared_bytes=most)
    start = data.draw(st.integers(0, len(grid) - 1))
    for cell in run_cells(sweep, range(start, len(grid)), threads=2):
        assert told(cell) == single(strategy, bars, cell.params, how)


def test_any_number_of_threads_answers_the_same() -> None:
    _, grid, sweep = a_sweep(*SWEPT["levels"])
    answers = [
        [told(cell) for cell in run_cells(sweep, range(len(grid)), threads=threads)]
        for threads in (1, 2, 4)
    ]
    assert answers[0] == answers[1] == answers[2]


def test_columns_are_kept_for_other_cells_within_a_bound() -> None:
    axes = {"fast_n": list(range(2, 30)), "slow_n": [40, 50]}
    column = 8 * len(BARS)
    _, grid, sweep = a_sweep(SWEPT["plain"][0], axes, most_shared_bytes=6 * column)
    most = 0
    for _ in run_cells(sweep, range(len(grid))):
        most = max(most, sweep.shared.bytes_kept)
    assert 0 < most <= 6 * column


def test_a_column_that_is_known_by_two_names_is_counted_once() -> None:
    """Counted twice, a hundred columns that fit were computed anew for every cell."""
    document = SWEPT["plain"][0] | {"let": {"quick": "fast"}}
    document["long"] = {"entry": "crosses_above(quick, slow)", "exit": "crosses_below(fast, slow)"}
    axes = {"fast_n": list(range(2, 30)), "slow_n": [40, 50]}
    _, grid, sweep = a_sweep(document, axes)
    cells = list(run_cells(sweep, range(len(grid)), threads=2))
    assert len(cells) == 56
    assert 30 * 8 * len(BARS) <= sweep.shared.bytes_kept < 31 * 8 * len(BARS)


def test_a_sweep_runs_no_further_ahead_than_its_threads_need() -> None:
    """Results wait for whoever asks: 20,000 cells are not all in memory at once."""
    axes = {"fast_n": list(range(2, 102)), "slow_n": list(range(200, 400))}
    strategy = read_strategy(SWEPT["plain"][0])
    grid = read_grid(strategy, axes, most_cells=20_000)
    sweep = prepare_sweep(strategy, hourly_bars(1, 420), grid)
    before = threading.active_count()
    cells = run_cells(sweep, range(len(grid)), threads=2)
    assert next(cells).number == 0
    cells.close()
    assert threading.active_count() == before
    assert len(sweep.identities.__dict__["_texts"]) < 2_000


class CancelledError(Exception):
    pass


def test_a_checkpoint_that_raises_ends_the_work_at_once() -> None:
    axes = {"fast_n": list(range(2, 102)), "slow_n": list(range(200, 300))}
    _, grid, sweep = a_sweep(SWEPT["plain"][0], axes)
    before = threading.active_count()
    seen: list[int] = []

    def checkpoint() -> None:
        if seen:
            raise CancelledError

    def consume() -> None:
        cells = run_cells(sweep, range(len(grid)), threads=2, checkpoint=checkpoint)
        seen.extend(cell.number for cell in cells)

    with pytest.raises(CancelledError):
        consume()
    assert 0 < len(seen) < 1_000
    assert threading.active_count() == before


def test_a_long_cell_is_left_in_its_middle() -> None:
    stretches = 16
    bars = hourly_bars(2, stretches * 65_536)
    _, _, sweep = a_sweep(SWEPT["guarded"][0], {"fast_n": [2]}, bars=bars)
    asked: list[int] = []

    def is_stopped() -> bool:
        asked.append(1)
        return len(asked) > stretches // 2

    with pytest.raises(StoppedError):
        Desk(sweep, is_stopped).cells(range(1))
    assert len(asked) == stretches // 2 + 1


def test_what_fits_no_cell_is_refused_before_any_runs() -> None:
    document, axes = SWEPT["plain"]
    with pytest.raises(InvalidInputError, match="bars are 1h"):
        a_sweep(document | {"timeframe": "1d"}, axes)
    with pytest.raises(InvalidInputError):
        a_sweep(document, axes, Settings(cash=-1.0))
    with pytest.raises(IndexError):
        list(run_cells(a_sweep(document, axes)[2], range(7)))
