import io
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from core.trading.bars.header import NUMBERS
from core.trading.bars.series import FloatArray
from tests.core.trading.bars.builders import NOW, a_csv, a_file, read, utc

HOURS = ("2024-03-04 10:00", "2024-03-04 11:00", "2024-03-04 12:00", "2024-03-04 13:00")


def _epochs(scale: int) -> tuple[str, ...]:
    return tuple(str((utc(hour.replace(" ", "T")) // 1_000_000) * scale) for hour in HOURS)


@pytest.mark.parametrize(
    ("times", "timezone", "form"),
    [
        (HOURS, "UTC", "ISO times without an offset"),
        ([t.replace(" ", "T") + ":00" for t in HOURS], "UTC", "ISO times without an offset"),
        ([t.replace(" ", "T") + ":00.000Z" for t in HOURS], None, "ISO times with an offset"),
        ([t + ":00.000000+00:00" for t in HOURS], None, "ISO times with an offset"),
        ([t + "-0000" for t in HOURS], None, "ISO times with an offset"),
        ([t.replace("04 1", "04 0") + "-10" for t in HOURS], None, "ISO times with an offset"),
        (["20240304T" + t[11:13] + "0000Z" for t in HOURS], None, "ISO times with an offset"),
        (_epochs(1), None, "epoch seconds"),
        ([t + ".0" for t in _epochs(1)], None, "epoch seconds"),
        (_epochs(1_000), None, "epoch milliseconds"),
        (_epochs(1_000_000), None, "epoch microseconds"),
        (_epochs(1_000_000_000), None, "epoch nanoseconds"),
        (["04.03.2024 " + t[11:] + ":00" for t in HOURS], "UTC", "times DD.MM.YYYY HH:MM:SS"),
        (["04.03.2024 " + t[11:] + ":00.000" for t in HOURS], "UTC", "times DD.MM.YYYY HH:MM:SS"),
    ],
)
def test_every_form_of_time_means_the_same_bars(
    times: Sequence[str], timezone: str | None, form: str
) -> None:
    bars, notes = read(a_file(*times), "1h", timezone=timezone)
    assert bars.stamps.tolist() == [utc(f"2024-03-04T{hour}:00") for hour in (11, 12, 13, 14)]
    assert notes.time_form == form
    assert bars.label_offset == 0


@pytest.mark.parametrize("form", ["{0}-{1}-{2}", "{0}{1}{2}", "{2}.{1}.{0}"])
def test_a_date_is_stamped_by_its_end_and_keeps_its_label(form: str) -> None:
    dates = [form.format("2024", "03", day) for day in ("04", "05", "06", "07")]
    bars, notes = read(a_file(*dates), "1d")
    assert bars.stamps[0] == utc("2024-03-05")
    assert bars.stamps[0] - bars.label_offset == utc("2024-03-04")
    assert notes.stamp == "date"


def test_a_week_named_by_its_first_day_is_stamped_by_its_end() -> None:
    weeks = a_file("2024-03-04", "2024-03-11", "2024-03-18", "2024-03-25")
    opened, closed = read(weeks, "1w").bars, read(weeks, "1w", stamp="close").bars
    assert opened.stamps[0] == utc("2024-03-11")
    assert closed.stamps[0] == utc("2024-03-05")
    assert opened.stamps[0] - opened.label_offset == closed.stamps[0] - closed.label_offset


def test_a_file_that_stamps_closes_is_taken_as_it_stands() -> None:
    bars = read(a_file(*HOURS), "1h", timezone="UTC", stamp="close").bars
    assert bars.stamps[0] == utc("2024-03-04T10:00")


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("line_end", [b"\n", b"\r\n", b"\n\n", b"\r"])
def test_delimiters_line_ends_and_byte_order_marks_do_not_matter(
    delimiter: str, bom: bytes, line_end: bytes
) -> None:
    plain = a_file("2024-03-04", "2024-03-05", "2024-03-06", "2024-03-07")
    bars = read(bom + plain.replace(b",", delimiter.encode()).replace(b"\n", line_end)).bars
    assert len(bars) == 4
    assert bars.close.tolist() == [1.75] * 4


@pytest.mark.parametrize("name", ["timestamp", "TIME", " Date ", "DateTime", ""])
def test_columns_are_found_by_name_in_any_order_and_case(name: str) -> None:
    rows = [f"2024-03-0{day},7,100,9,1.75,1,2,1.5" for day in (4, 5, 6)]
    bars, notes = read(a_csv(*rows, header=f"{name},x,VOLUME,y,Close,low,High,OPEN"))
    got = [float(getattr(bars, column)[0]) for column in NUMBERS]
    assert got == [1.5, 2.0, 1.0, 1.75, 100.0]
    assert notes.ignored == ("x", "y")
    assert [warning.code for warning in notes.warnings] == ["ignored_columns"]


def test_a_file_without_volume_has_none_and_says_so() -> None:
    bars, notes = read(a_csv("2024-03-04,1,2,1,1", header="date,open,high,low,close"))
    assert bars.volume.tolist() == [0.0]
    assert [warning.code for warning in notes.warnings] == ["no_volume"]


def test_numbers_may_have_spaces_signs_and_exponents_and_be_quoted() -> None:
    bars = read(a_csv('2024-03-04, 1.5 ,+2,1e0,"1.75",1E2')).bars
    assert [float(getattr(bars, name)[0]) for name in NUMBERS] == [1.5, 2, 1, 1.75, 100]


def test_a_bar_that_is_still_open_is_kept_with_a_warning() -> None:
    now = datetime(2024, 3, 4, 13, 30, tzinfo=UTC)
    bars, notes = read(a_file(*HOURS), "1h", timezone="UTC", now=now)
    assert len(bars) == 4
    assert [warning.code for warning in notes.warnings] == ["unfinished_bar"]


def test_a_path_an_open_file_and_bytes_read_alike(tmp_path: Path) -> None:
    data = a_file("2024-03-04", "2024-03-05")
    path = tmp_path / "bars.csv"
    path.write_bytes(data)
    for source in (data, path, io.BytesIO(data)):
        assert len(read(source).bars) == 2


def test_columns_are_contiguous_and_writable() -> None:
    bars = read(a_file("2024-03-04", "2024-03-05")).bars
    for name in ("stamps", *NUMBERS):
        column = getattr(bars, name)
        assert column.flags.c_contiguous
        assert column.flags.writeable


def test_now_must_know_its_offset() -> None:
    with pytest.raises(ValueError, match="offset"):
        read(a_file("2024-03-04"), now=NOW.replace(tzinfo=None))


@given(
    mid=arrays(np.float64, st.integers(1, 60), elements=st.floats(1e-6, 1e9)),
    width=st.floats(0, 0.5),
    start=st.integers(0, 1_000_000),
)
def test_what_is_written_with_repr_is_read_bit_for_bit(
    mid: FloatArray, width: float, start: int
) -> None:
    high, low = mid * (1 + width), mid * (1 - width)
    times = (np.int64(start) * 3600 + np.arange(len(mid)) * 3600).astype("datetime64[s]")
    rows = [
        f"{time}Z,{o!r},{h!r},{low_!r},{c!r},{v!r}"
        for time, o, h, low_, c, v in zip(
            times,
            mid.tolist(),
            high.tolist(),
            low.tolist(),
            mid[::1].tolist(),
            (mid * 3).tolist(),
            strict=True,
        )
    ]
    bars = read(a_csv(*rows), "1h", now=datetime(2200, 1, 1, tzinfo=UTC)).bars
    assert bars.open.tobytes() == mid.tobytes()
    assert bars.high.tobytes() == high.tobytes()
    assert bars.low.tobytes() == low.tobytes()
    assert bars.volume.tobytes() == (mid * 3).tobytes()
    assert np.array_equal(bars.stamps, times.astype(np.int64) * 1_000_000 + 3_600_000_000)
