from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.trading.requests.parts import cells_in_part
from core.trading.strategy.reading import read_strategy
from tests.builders import a_document

PLAIN = read_strategy(a_document())
WAITING = read_strategy(
    a_document(long={"entry": "close > fast", "exit": "bars_held > 3 and close < fast"})
)


@pytest.mark.parametrize(
    ("rows", "cells", "in_part"),
    [
        (50_000, 1_000, 240),
        (50_000, 10_000, 1_250),
        (50_000, 100_000, 2_000),
        (1_000_000, 10_000, 200),
        (1_000_000, 20, 12),
        (10**9, 1_000, 10),
        (10**9, 100_000, 50),
        (100, 7, 7),
        (0, 5, 5),
    ],
)
def test_a_part_is_as_many_cells_as_take_about_a_second(
    rows: int, cells: int, in_part: int
) -> None:
    assert cells_in_part(PLAIN, rows, cells) == in_part


def test_parts_are_smaller_where_conditions_read_the_position() -> None:
    assert cells_in_part(WAITING, 1_000_000, 10_000) == 20


@given(rows=st.integers(0, 10**9), cells=st.integers(1, 10**6), slow=st.booleans())
def test_no_sweep_has_parts_without_number_or_without_end(rows: int, cells: int, slow: Any) -> None:
    size = cells_in_part(WAITING if slow else PLAIN, rows, cells)
    assert 1 <= size <= cells
    assert -(-cells // size) <= 2_000
