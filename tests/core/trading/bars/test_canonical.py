import hashlib
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from core.errors import InvalidInputError
from core.trading.bars.canonical import data_hash, read_parquet_bars, write_parquet
from core.trading.bars.header import NUMBERS
from core.trading.bars.series import Bars
from core.trading.bars.timeframes import Timeframe
from tests.core.trading.bars.builders import some_bars

ANY_BARS = st.integers(1, 50).flatmap(
    lambda n: st.builds(
        Bars,
        symbol=st.just("TEST"),
        timeframe=st.sampled_from(list(Timeframe)),
        stamps=arrays(np.int64, n, unique=True).map(np.sort),
        label_offset=st.integers(0, 7 * 86_400_000_000),
        **{name: arrays(np.float64, n, elements=st.floats(allow_nan=False)) for name in NUMBERS},
    )
)


def test_the_hash_is_that_of_the_documented_bytes() -> None:
    bars = some_bars(n=2)
    plain = b"neozork-bars/1\n1d\n" + (2).to_bytes(8, "little") + (0).to_bytes(8, "little")
    for name in ("stamps", *NUMBERS):
        plain += getattr(bars, name).tobytes()
    assert data_hash(bars) == hashlib.sha256(plain).hexdigest()


def test_the_hash_knows_every_column_and_not_the_symbol() -> None:
    bars = some_bars()
    assert data_hash(replace(bars, symbol="OTHER")) == data_hash(bars)
    others = [replace(bars, timeframe=Timeframe.W1), replace(bars, label_offset=1)]
    for name in ("stamps", *NUMBERS):
        changed = getattr(bars, name).copy()
        changed[7] += 1
        others.append(replace(bars, **{name: changed}))
    assert len({data_hash(other) for other in (bars, *others)}) == 9


@given(ANY_BARS)
def test_parquet_keeps_every_bit(bars: Bars) -> None:
    data = write_parquet(bars)
    again = read_parquet_bars(data, symbol="TEST", expected_hash=data_hash(bars))
    assert (again.timeframe, again.label_offset) == (bars.timeframe, bars.label_offset)
    for name in ("stamps", *NUMBERS):
        column = getattr(again, name)
        assert column.tobytes() == getattr(bars, name).tobytes()
        assert column.flags.c_contiguous
        assert column.flags.writeable
    assert write_parquet(again) == data


def test_other_bars_than_those_expected_are_refused() -> None:
    data = write_parquet(some_bars())
    with pytest.raises(InvalidInputError) as caught:
        read_parquet_bars(data, symbol="TEST", expected_hash=data_hash(some_bars(n=41)))
    assert caught.value.instance_code == "corrupt_bars"


def test_damaged_parquet_is_refused() -> None:
    data = write_parquet(some_bars())
    for broken in (b"", b"PAR1", data[:-1], data[: len(data) // 2]):
        with pytest.raises(InvalidInputError) as caught:
            read_parquet_bars(broken, symbol="TEST")
        assert caught.value.instance_code == "corrupt_bars"
