from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import InvalidInputError
from core.trading.research.grid import Grid, read_grid
from core.trading.strategy.reading import read_strategy

DOCUMENT = {
    "spec": "strategy/1",
    "name": "swept",
    "timeframe": "1d",
    "params": {
        "fast": {"type": "int", "default": 5, "min": 2, "max": 50},
        "slow": {"type": "int", "default": 20, "min": 2, "max": 200},
        "stop": {"type": "number", "default": 2, "values": [1, 2, 2.5]},
        "free": {"type": "int", "default": 3},
    },
    "inputs": {
        "a": {"ta": "SMA", "with": {"timeperiod": "$fast"}},
        "b": {"ta": "SMA", "with": {"timeperiod": "$slow"}},
    },
    "long": {"entry": "crosses_above(a, b[$free])", "exit": "crosses_below(a, b)"},
    "risk": {"stop": {"percent": "$stop"}},
}
STRATEGY = read_strategy(DOCUMENT)


def swept(grid: Any, *, most: int = 100, **params: Any) -> Grid:
    return read_grid(STRATEGY, grid, most_cells=most, params=params)


def faults(grid: Any, *, most: int = 100, **params: Any) -> list[tuple[str, str]]:
    with pytest.raises(InvalidInputError) as raised:
        swept(grid, most=most, **params)
    return [(fault.path, fault.code) for fault in raised.value.errors]


def test_the_last_axis_runs_fastest() -> None:
    grid = swept({"slow": [20, 30, 40], "fast": [5, 6]}, stop=1)
    assert len(grid) == 6
    assert [(grid.params(k)["fast"], grid.params(k)["slow"]) for k in range(6)] == [
        *((5, 20), (5, 30), (5, 40)),
        *((6, 20), (6, 30), (6, 40)),
    ]
    assert grid.params(0) == {"fast": 5, "slow": 20, "stop": 1.0, "free": 3}
    for outside in (-1, 6):
        with pytest.raises(IndexError):
            grid.params(outside)


def test_a_value_that_does_not_fit_is_told_with_all_its_digits() -> None:
    with pytest.raises(InvalidInputError) as raised:
        swept({"fast": [1_000_000_001]})
    assert [fault.message for fault in raised.value.errors] == [
        "1000000001 is not a value of $fast."
    ]


@given(
    st.permutations(["fast", "slow", "stop"]),
    st.permutations([5, 7, 9]),
    st.permutations([1, 2.5, 2]),
)
def test_a_grid_has_the_same_cells_in_whatever_order_it_was_written(
    names: list[str], fast: list[int], stop: list[float]
) -> None:
    values = {"fast": fast, "slow": [20, 30], "stop": stop}
    grid = swept({name: values[name] for name in names})
    canonical = swept({"fast": [5, 7, 9], "slow": [20, 30], "stop": [1, 2, 2.5]})
    assert grid == canonical
    assert grid.as_document() == canonical.as_document()


@given(st.data())
def test_every_combination_is_one_cell(data: st.DataObject) -> None:
    fast = data.draw(st.lists(st.integers(2, 50), min_size=1, max_size=6, unique=True))
    slow = data.draw(st.lists(st.integers(2, 200), min_size=1, max_size=6, unique=True))
    grid = swept({"fast": fast, "slow": slow})
    cells = [grid.params(k) for k in range(len(grid))]
    assert {(cell["fast"], cell["slow"]) for cell in cells} == {(f, s) for f in fast for s in slow}
    assert len(cells) == len(fast) * len(slow)


def test_every_fault_comes_at_once() -> None:
    asked = {"fats": [1], "fast": [1, 5, 5.0, "x", 2.5, True], "slow": 7, "stop": [], "free": [7]}
    assert sorted(faults(asked, fast=900, nobody=1)) == [
        ("/grid/fast", "one_of"),
        ("/grid/fast/0", "out_of_range"),
        ("/grid/fast/2", "doubled"),
        ("/grid/fast/3", "type"),
        ("/grid/fast/4", "type"),
        ("/grid/fast/5", "type"),
        ("/grid/fats", "unknown_param"),
        ("/grid/slow", "type"),
        ("/grid/stop", "required"),
        ("/params/fast", "out_of_range"),
        ("/params/nobody", "unknown_param"),
    ]


def test_a_grid_without_an_axis_is_none() -> None:
    assert faults({}) == [("/grid", "required")]


def test_a_grid_too_large_is_refused_before_its_values_are_read() -> None:
    assert faults({"fast": [5, 6], "slow": [20, 30, 40]}, most=5) == [("/grid", "grid_too_large")]
    assert len(swept({"fast": [5, 6], "slow": [20, 30, 40]}, most=6)) == 6
    assert faults({"fast": ["x"] * 101}) == [("/grid", "grid_too_large")]


def test_a_grid_of_more_cells_than_a_number_can_tell_is_refused() -> None:
    found = faults({f"a{axis}": [1] * 10 for axis in range(8_000)})
    assert ("/grid", "grid_too_large") in found


def test_a_value_of_a_listed_parameter_is_one_of_them() -> None:
    assert faults({"stop": [1, 1.5]}) == [("/grid/stop/1", "out_of_range")]


def test_a_value_fits_every_place_that_its_parameter_stands_in() -> None:
    assert faults({"free": [1, -2]}) == [("/grid/free/1", "bad_lag")]
