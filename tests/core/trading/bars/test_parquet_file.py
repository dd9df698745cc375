import io
from datetime import date
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from core.errors import InvalidInputError
from core.trading.bars.limits import Limits
from tests.core.trading.bars.builders import codes_of, read, utc

HOURS = np.arange("2024-03-04T10", "2024-03-04T16", dtype="datetime64[h]")
SMALL = Limits(max_rows=1_000_000, max_bytes=8 << 20)


def a_parquet(times: object, **other: object) -> bytes:
    n = len(times)
    prices = {"open": 1.5, "high": 2.0, "low": 1.0, "close": 1.75, "volume": 100.0}
    columns = {name: np.full(n, value) for name, value in prices.items()}
    return written(pa.table({"Date": times, **columns, **other}))


def written(table: pa.Table, **how: object) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink, **how)
    return sink.getvalue()


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_timestamps_of_any_unit_and_zone_mean_the_same_bars(unit: str) -> None:
    zoned = pa.array(HOURS.astype(f"datetime64[{unit}]")).cast(pa.timestamp(unit, "Asia/Tokyo"))
    bars = read(a_parquet(zoned), "1h").bars
    assert bars.stamps[0] == utc("2024-03-04T11:00")
    assert bars.close.tolist() == [1.75] * 6


def test_timestamps_without_a_zone_need_a_timezone() -> None:
    times = pa.array(HOURS.astype("datetime64[us]"))
    assert codes_of(a_parquet(times), "1h") == [("/row/1", "naive_time")]
    stamps = read(a_parquet(times), "1h", timezone="America/New_York").bars.stamps
    assert stamps[0] == utc("2024-03-04T16:00")


@pytest.mark.parametrize("kind", ["date32", "date64", "midnights", "texts"])
def test_dates_are_daily_bars(kind: str | pa.DataType) -> None:
    days = np.arange("2024-03-04", "2024-03-09", dtype="datetime64[D]")
    times = {
        "date32": pa.array(days),
        "date64": pa.array(days).cast(pa.date64()),
        "midnights": pa.array(days.astype("datetime64[ns]")),
        "texts": pa.array([str(day) for day in days]),
    }[kind]
    bars = read(a_parquet(times), "1d").bars
    assert bars.stamps[0] == utc("2024-03-05")
    assert bars.label_offset == 86_400_000_000


def test_midnights_are_days_of_a_timezone_that_is_given() -> None:
    days = np.arange("2024-03-04", "2024-03-09", dtype="datetime64[D]").astype("datetime64[ns]")
    bars = read(a_parquet(pa.array(days)), "1d", timezone="America/New_York").bars
    assert bars.stamps[0] == utc("2024-03-05T05:00")


@pytest.mark.parametrize("kind", [pa.int64(), pa.float64(), pa.string()])
def test_epochs_may_be_numbers_or_texts(kind: str | pa.DataType) -> None:
    seconds = pa.array(HOURS.astype("datetime64[s]").astype(np.int64)).cast(kind)
    assert read(a_parquet(seconds), "1h").bars.stamps[0] == utc("2024-03-04T11:00")


def test_an_index_of_times_without_a_name_is_time() -> None:
    days = pa.array([date(2024, 3, 4), date(2024, 3, 5)])
    names = ["__index_level_0__", "open", "high", "low", "close", "volume"]
    table = pq.read_table(io.BytesIO(a_parquet(days))).rename_columns(names)
    assert len(read(written(table)).bars) == 2


def test_numbers_of_other_types_are_taken_exactly() -> None:
    days = pa.array([date(2024, 3, 4)])
    volume = pa.array([2**53])
    low = pa.array([Decimal("1.000")])
    bars = read(a_parquet(days, volume=volume, low=low)).bars
    assert bars.volume.tolist() == [2**53]
    assert bars.low.tolist() == [1]
    rounded = a_parquet(days, volume=pa.array([2**53 + 2]))
    assert codes_of(rounded) == [("/row/1", "type")]


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        ({"close": pa.array(["1.75"])}, [("/header", "type")]),
        ({"close": pa.array([[1.75]])}, [("/header", "type")]),
        ({"close": pa.array([True])}, [("/header", "type")]),
        ({"close": pa.array([None], pa.float64())}, [("/row/1", "nan")]),
        ({"close": pa.array([np.inf])}, [("/row/1", "infinity")]),
        ({"Date": pa.array([None], pa.date32())}, [("/row/1", "bad_time")]),
        ({"Date": pa.array([1], pa.timestamp("ns"))}, [("/row/1", "bad_time")]),
        ({"Date": pa.array([1 << 60], pa.timestamp("ms"))}, [("/row/1", "bad_time")]),
        ({"Date": pa.array([-(1 << 60)], pa.timestamp("us"))}, [("/row/1", "bad_time")]),
        ({"Date": pa.array([1 << 30], pa.date32())}, [("/row/1", "bad_time")]),
        ({"Date": pa.array([b"2024"])}, [("/header", "type")]),
        ({"CLOSE": pa.array([1.75])}, [("/header", "duplicate_column")]),
    ],
)
def test_a_malformed_column_is_refused_with_its_place(
    other: dict[str, pa.Array], expected: list[tuple[str, str]]
) -> None:
    assert codes_of(a_parquet(pa.array([date(2024, 3, 4)]), **other)) == expected


def test_missing_columns_and_no_rows_are_refused() -> None:
    days = pa.array([date(2024, 3, 4)])
    table = pq.read_table(io.BytesIO(a_parquet(days)))
    assert codes_of(written(table.drop_columns(["low"]))) == [("/header", "missing_column")]
    assert codes_of(written(table.slice(0, 0))) == [("", "no_rows")]


def test_a_file_cut_off_anywhere_is_refused() -> None:
    whole = a_parquet(pa.array(HOURS.astype("datetime64[us]")).cast(pa.timestamp("us", "UTC")))
    assert len(read(whole, "1h").bars) == 6
    for length in (4, 8, len(whole) // 2, len(whole) - 1):
        assert codes_of(whole[:length], "1h") == [("", "unreadable")]


@pytest.mark.parametrize("change", [0x01, 0xFF])
def test_a_file_with_a_byte_changed_is_read_or_refused_and_never_breaks(change: int) -> None:
    """Ends the whole run where a damaged file ends the process, as column metadata once did."""
    times = pa.array(HOURS.astype("datetime64[us]")).cast(pa.timestamp("us", "UTC"))
    whole = a_parquet(times)
    footer = len(whole) - 8 - int.from_bytes(whole[-8:-4], "little")
    refused = 0
    for place in (*range(4, footer, 41), *range(footer, footer + 800, 2)):
        broken = whole[:place] + bytes([whole[place] ^ change]) + whole[place + 1 :]
        try:
            read(broken, "1h", limits=SMALL)
        except InvalidInputError:
            refused += 1
    assert refused


def a_bomb(rows: int, text: str | None = None) -> bytes:
    times = pa.array(np.zeros(rows, dtype=np.int64))
    if text is not None:
        index = pa.array(np.zeros(rows, dtype=np.int32))
        times = pa.DictionaryArray.from_arrays(index, pa.array([text]))
    one = pa.array(np.ones(rows))
    names = ["time", "open", "high", "low", "close", "volume"]
    return written(pa.table([times, *[one] * 5], names=names), compression="zstd")


def test_too_many_rows_in_a_tiny_file_are_refused() -> None:
    bomb = a_bomb(10_000_000)
    assert len(bomb) < 500_000
    assert codes_of(bomb) == [("", "too_many_rows")]


def test_a_long_text_that_a_dictionary_repeats_is_read_once() -> None:
    bomb = a_bomb(1_000_000, "x" * 100_000)
    assert len(bomb) < 200_000
    faults = codes_of(bomb, limits=Limits(max_bytes=64 << 20))
    assert faults[0] == ("/row/1", "bad_time")
    assert len(faults) == 21


def test_columns_that_decompress_beyond_the_limit_are_refused() -> None:
    bomb = a_bomb(100, "x" * 50_000_000)
    assert len(bomb) < 1_000_000
    assert codes_of(bomb, limits=SMALL) == [("", "too_large")]


def test_what_is_not_needed_is_not_read() -> None:
    days = pa.array([date(2024, 3, 4)])
    padded = a_parquet(days, notes=pa.array(["x" * 50_000_000]))
    bars, notes = read(padded, limits=SMALL)
    assert len(bars) == 1
    assert notes.ignored == ("notes",)
