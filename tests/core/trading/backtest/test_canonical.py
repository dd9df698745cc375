import json
import math
from typing import Any

import numpy as np
import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from core.trading.backtest.canonical import dump_document, dump_lines


def written(column: list[Any]) -> list[str]:
    lines = dump_lines({"x": column}).decode().split("\n") if column else []
    return [line.removeprefix('{"x":').removesuffix("}") for line in lines]


NUMBERS = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**53) + 1, 2**53 - 1)


@given(st.lists(NUMBERS) | st.lists(st.text()))
def test_a_column_is_written_as_rfc_8785_writes_its_values(column: list[Any]) -> None:
    assert written(column) == [rfc8785.dumps(value).decode() for value in column]


@given(st.lists(st.tuples(st.text(max_size=5), NUMBERS), max_size=6))
def test_a_document_with_tables_is_the_same_bytes_as_one_of_rows(
    rows: list[tuple[str, float]],
) -> None:
    columns = {"side": [row[0] for row in rows], "price": [row[1] for row in rows]}
    plain = {"b": [1, None], "a": {"z": 0.5, "y": "é"}}
    expected = rfc8785.dumps(
        plain | {"trades": [{"side": side, "price": price} for side, price in rows]}
    )
    assert dump_document(plain, {"trades": dump_lines(columns)}) == expected


def test_a_text_that_looks_like_rows_stays_on_its_line() -> None:
    texts = ['a},{"b', "a\nb", "\u2028"]
    lines = dump_lines({"symbol": texts}).split(b"\n")
    assert [json.loads(line)["symbol"] for line in lines] == texts


@pytest.mark.parametrize("near", [0.0, 1e-7, 1e-6, 1e-5, 1e-4, 1.0, 1e10, 1e15, 1e16, 1e20, 1e21])
def test_numbers_are_written_as_javascript_does_where_its_forms_change(near: float) -> None:
    column = [sign * x for x in (near, *np.nextafter(near, [0, np.inf])) for sign in (1, -1)]
    assert written(column) == [rfc8785.dumps(float(value)).decode() for value in column]


def test_what_is_not_a_number_is_null() -> None:
    assert written([math.nan, math.inf, -math.inf, None]) == ["null"] * 4
    assert json.loads(dump_document({}, {"t": dump_lines({"x": [math.nan, 1.0]})})) == {
        "t": [{"x": None}, {"x": 1}]
    }
