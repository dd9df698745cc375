import math

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.trading.bars.number_texts import parse_numbers


@given(st.lists(st.floats(allow_nan=False), min_size=1))
def test_numbers_are_read_exactly(numbers: list[float]) -> None:
    values, bad = parse_numbers(pa.array([repr(number) for number in numbers]))
    assert values.tolist() == numbers
    assert not len(bad)


@given(st.lists(st.text(max_size=12), min_size=1))
def test_no_text_breaks_the_reader(texts: list[str]) -> None:
    values, bad = parse_numbers(pa.array(texts))
    assert len(values) == len(texts)
    assert all(math.isnan(values[row]) for row in bad)


@pytest.mark.parametrize("text", ["", "NaN", " null ", "N/A", "none"])
def test_nothing_is_nothing_and_no_fault_of_type(text: str) -> None:
    values, bad = parse_numbers(pa.array([text, " 1 "]))
    assert math.isnan(values[0])
    assert values[1] == 1
    assert not len(bad)


@pytest.mark.parametrize("text", ["1,5", "1.234,5", "1_0", "0x10", "1e", ".", "--1", "1 2", "٣"])
def test_what_could_mean_two_things_is_no_number(text: str) -> None:
    assert parse_numbers(pa.array([text]))[1].tolist() == [0]
