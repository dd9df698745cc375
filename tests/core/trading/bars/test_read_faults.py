from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from core.trading.bars.limits import Limits
from tests.core.trading.bars.builders import (
    HEADER,
    a_csv,
    a_file,
    codes_of,
    faults_of,
    read,
)

SOUND = "2024-03-04,1.5,2,1,1.75,100"
ROW = "2024-03-05,{}"
MALFORMED = {
    "nothing at all": (b"", [("", "no_rows")]),
    "blank lines": (b"\n\r\n \n", [("", "no_rows")]),
    "a header alone": (a_csv(), [("", "no_rows")]),
    "another language's text": ((HEADER + ",\xe9\n").encode("latin-1"), [("", "not_utf8")]),
    "UTF-16": (a_csv(SOUND).decode().encode("utf-16"), [("", "not_utf8")]),
    "NUL bytes": (a_csv(SOUND) + b"\0" * 10, [("", "not_utf8")]),
    "gzip": (b"\x1f\x8b" + b"x" * 50, [("", "unreadable")]),
    "an Excel workbook": (b"PK\x03\x04" + b"x" * 50, [("", "unreadable")]),
    "no header": (
        a_csv(header=SOUND),
        [("/header", "missing_column")] * 5,
    ),
    "no low": (
        a_csv("2024-03-04,1,2,1,5", header="time,open,high,close,volume"),
        [("/header", "missing_column")],
    ),
    "two times": (
        a_csv("2024-03-04,1,2024-03-04,2,1,1", header="date,open,time,high,low,close"),
        [("/header", "duplicate_column")],
    ),
    "two closes": (
        a_csv("2024-03-04,1,2,1,1,1", header="date,open,high,low,close,Close"),
        [("/header", "duplicate_column")],
    ),
    "a word for a price": (a_csv(SOUND, ROW.format("x,2,1,1,1")), [("/row/2", "type")]),
    "a decimal comma": (a_csv(SOUND, ROW.format('"1,5",2,1,1,1')), [("/row/2", "type")]),
    "a digit group": (a_csv(SOUND, ROW.format("1_0,20,1,1,1")), [("/row/2", "type")]),
    "an empty price": (a_csv(SOUND, ROW.format(",2,1,1,1")), [("/row/2", "nan")]),
    "NaN": (a_csv(SOUND, ROW.format("1.5,NaN,1,1,1")), [("/row/2", "nan")]),
    "no volume in a row": (a_csv(SOUND, ROW.format("1.5,2,1,1,")), [("/row/2", "nan")]),
    "infinity": (a_csv(SOUND, ROW.format("1.5,inf,1,1,1")), [("/row/2", "infinity")]),
    "a number beyond all": (a_csv(SOUND, ROW.format("1.5,1e999,1,1,1")), [("/row/2", "infinity")]),
    "a price of zero": (a_csv(SOUND, ROW.format("1.5,2,0,1,1")), [("/row/2", "zero_price")]),
    "a negative price": (a_csv(SOUND, ROW.format("1.5,2,-1,1,1")), [("/row/2", "negative_price")]),
    "a negative volume": (
        a_csv(SOUND, ROW.format("1.5,2,1,1,-1")),
        [("/row/2", "negative_volume")],
    ),
    "high below low": (a_csv(SOUND, ROW.format("1.5,1,2,1,1")), [("/row/2", "high_below_low")]),
    "open above high": (
        a_csv(SOUND, ROW.format("3,2,1,1,1")),
        [("/row/2", "open_outside_range")],
    ),
    "close below low": (
        a_csv(SOUND, ROW.format("1,2,1,0.5,1")),
        [("/row/2", "close_outside_range")],
    ),
    "a month too many": (a_file("2024-03-04", "2024-13-05"), [("/row/2", "bad_time")]),
    "the 30th of February": (a_file("2024-02-28", "2024-02-30"), [("/row/2", "bad_time")]),
    "the 29th in a common year": (a_file("2023-02-28", "2023-02-29"), [("/row/2", "bad_time")]),
    "a slashed date": (a_file("03/04/2024"), [("/row/1", "bad_time")]),
    "no time": (a_file("2024-03-04", ""), [("/row/2", "bad_time")]),
    "an endless time": (a_file("2024-03-04", "2" * 5000), [("/row/2", "bad_time")]),
    "two forms of time": (
        a_file("2024-03-04", "2024-03-05", "06.03.2024"),
        [("/row/3", "mixed_time_forms")],
    ),
    "a repeated bar": (
        a_file("2024-03-04", "2024-03-05", "2024-03-05", "2024-03-06"),
        [("/row/3", "duplicate_time")],
    ),
    "a step back": (
        a_file("2024-03-04", "2024-03-05", "2024-03-03", "2024-03-06", "2024-03-07"),
        [("/row/3", "order")],
    ),
    "the newest first": (a_file("2024-03-06", "2024-03-05", "2024-03-04"), [("", "order")]),
    "a bar of tomorrow": (a_file("2025-12-31", "2026-01-02"), [("/row/2", "future_time")]),
    "a row cut off": (a_csv(SOUND) + b"2024-03-05,1.5,2", [("/row/2", "columns")]),
    "a row too long": (a_csv(SOUND, ROW.format("1.5,2,1,1,1,1")), [("/row/2", "columns")]),
    "an endless header": (b"time" * 20_000 + b"\n1", [("/header", "unreadable")]),
}


@pytest.mark.parametrize(("data", "expected"), MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_file_is_refused_with_its_place(
    data: bytes, expected: list[tuple[str, str]]
) -> None:
    assert codes_of(data) == expected


def test_the_rows_of_the_table_are_sound_but_for_their_fault() -> None:
    assert len(read(a_csv(SOUND, ROW.format("1.5,2,1,1,1"))).bars) == 2


@pytest.mark.parametrize(
    ("times", "timeframe", "expected"),
    [
        (["2024-03-04", "2024-03-05"], "1h", [("/row/1", "bad_timeframe")]),
        ([f"2024-03-{day:02}" for day in range(1, 9)], "1w", [("", "bad_timeframe")]),
        ([f"2024-{month:02}-01" for month in range(1, 9)], "1d", [("", "bad_timeframe")]),
        ([f"2024-03-04T{hour:02}:00Z" for hour in range(9)], "1d", [("", "bad_timeframe")]),
        ([f"2024-03-04T{hour:02}:00Z" for hour in range(9)], "30m", [("", "bad_timeframe")]),
        ([f"2024-03-04T{hour:02}:00Z" for hour in range(9)], "4h", [("", "bad_timeframe")]),
        ([f"2024-03-04T10:{minute:02}Z" for minute in range(9)], "5m", [("", "bad_timeframe")]),
    ],
)
def test_a_file_of_another_timeframe_is_refused(
    times: Sequence[str], timeframe: str, expected: list[tuple[str, str]]
) -> None:
    assert codes_of(a_file(*times), timeframe) == expected


def test_what_the_file_looks_like_is_said() -> None:
    times = [f"2024-03-04T{hour:02}:00Z" for hour in range(9)]
    assert "is 1h" in faults_of(a_file(*times), "30m")[0].message


def test_times_without_an_offset_need_a_timezone_and_the_fault_names_the_option() -> None:
    (fault,) = faults_of(a_file("2024-03-04 10:00"), "1h")
    assert fault.code == "naive_time"
    assert "--timezone" in fault.hint


def test_an_unknown_timezone_and_an_unknown_stamp_are_faults() -> None:
    hours = a_file("2024-03-04 10:00")
    for name in ("Mars/Olympus", "", "../etc", "America"):
        assert codes_of(hours, "1h", timezone=name) == [("/timezone", "unknown_timezone")]
    assert codes_of(hours, "1h", timezone="UTC", stamp="middle") == [("/stamp", "one_of")]


def test_all_faults_come_at_once_with_the_editors_line() -> None:
    data = a_csv(SOUND, "", ROW.format("x,2,1,-1,inf"), "2024-03-06,1", "soon,1.5,2,1,1,1")
    faults = faults_of(data)
    assert {(fault.path, fault.code) for fault in faults} == {
        ("/row/2", "type"),
        ("/row/2", "negative_price"),
        ("/row/2", "infinity"),
        ("/row/3", "columns"),
        ("/row/4", "bad_time"),
    }
    assert {fault.path: fault.message.partition(":")[0] for fault in faults} == {
        "/row/2": "Row 2 (line 4)",
        "/row/3": "Row 3 (line 5)",
        "/row/4": "Row 4 (line 6)",
    }


def test_no_more_than_20_rows_of_a_kind_are_listed_and_all_are_counted() -> None:
    days = np.arange(100).astype("datetime64[D]") + np.timedelta64(19_000, "D")
    faults = faults_of(a_csv(*(f"{day},1.5,2,1,-1,0" for day in days)))
    assert [fault.path for fault in faults] == [f"/row/{n}" for n in range(1, 21)] + [""]
    assert faults[-1].message.startswith("100 rows")


def test_a_file_of_broken_rows_only_stops_early() -> None:
    faults = faults_of(a_csv(*["1,2"] * 5_000))
    assert {fault.code for fault in faults} == {"columns", "unreadable"}
    assert len(faults) < 30


def test_a_missing_file_is_a_fault(tmp_path: Path) -> None:
    assert codes_of(tmp_path / "none.csv") == [("", "unreadable")]


def test_ten_million_rows_are_refused_before_they_are_parsed() -> None:
    """Parsing would find that each row is broken."""
    data = HEADER.encode() + b"\n" + b"1\n" * 10_000_000
    assert codes_of(data) == [("", "too_many_rows")]


@pytest.mark.parametrize("line_end", [b"\n", b"\r"])
def test_one_row_over_the_limit_is_refused_and_the_limit_itself_is_not(line_end: bytes) -> None:
    data = a_file("2024-03-04", "2024-03-05", "2024-03-06").replace(b"\n", line_end)
    assert len(read(data, limits=Limits(max_rows=3)).bars) == 3
    assert codes_of(data, limits=Limits(max_rows=2)) == [("", "too_many_rows")]


def test_one_byte_over_the_limit_is_refused_and_the_limit_itself_is_not(tmp_path: Path) -> None:
    data = a_file("2024-03-04", "2024-03-05")
    path = tmp_path / "bars.csv"
    path.write_bytes(data)
    for source in (data, path):
        assert len(read(source, limits=Limits(max_bytes=len(data))).bars) == 2
        assert codes_of(source, limits=Limits(max_bytes=len(data) - 1)) == [("", "too_large")]


def test_a_line_without_an_end_is_refused() -> None:
    assert ("", "unreadable") in codes_of(a_csv(SOUND) + b"9" * (20 << 20))
