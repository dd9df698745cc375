from datetime import UTC, datetime, timedelta, timezone

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.trading.bars.time_texts import TimeForm, parse_times

MOMENTS = st.datetimes(datetime.fromisoformat("1850-01-01"), datetime.fromisoformat("2190-01-01"))
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
OFFSETS = st.integers(-14 * 60, 14 * 60).map(lambda m: timezone(timedelta(minutes=m)))


def _micros(moment: datetime) -> int:
    return (moment - EPOCH) // timedelta(microseconds=1)


@given(st.lists(st.tuples(MOMENTS, OFFSETS), min_size=1, max_size=30))
def test_iso_times_with_an_offset_agree_with_pythons(
    pairs: list[tuple[datetime, timezone]],
) -> None:
    moments = [moment.replace(tzinfo=zone) for moment, zone in pairs]
    micros, forms = parse_times(pa.array([moment.isoformat() for moment in moments]))
    assert micros.tolist() == [_micros(moment) for moment in moments]
    assert set(forms.tolist()) == {TimeForm.OFFSET}


@given(st.lists(MOMENTS, min_size=1, max_size=30))
def test_wall_clock_times_are_read_as_they_stand(moments: list[datetime]) -> None:
    texts = [moment.isoformat(sep=" ") for moment in moments]
    dotted = [moment.strftime("%d.%m.%Y %H:%M:%S.%f") for moment in moments]
    expected = [_micros(moment.replace(tzinfo=UTC)) for moment in moments]
    assert parse_times(pa.array(texts))[0].tolist() == expected
    assert parse_times(pa.array(dotted))[0].tolist() == expected


@given(st.text(max_size=30))
def test_no_text_breaks_the_reader(text: str) -> None:
    micros, forms = parse_times(pa.array([text, "2024-01-01"]))
    assert len(micros) == len(forms) == 2
    assert forms[1] == TimeForm.DATE


@pytest.mark.parametrize(
    "text",
    [
        "2024-01-01T24:00Z",
        "2024-01-01T23:60Z",
        "2024-01-01T23:59:60Z",
        "2024-00-01",
        "2024-01-00",
        "2024-01-32",
        "1700-01-01",
        "2024-01-01T00:00:00.0000001Z",
        "2024-01-01T00:00:00+16:00",
        "2024-01-01T00:00:00+00:60",
        "2024-1-1",
        "1.704e9",
        "NaT",
        "99999999999999999999",
        "1704067200.0000001",
    ],
)
def test_what_is_no_time_of_a_bar_is_unreadable(text: str) -> None:
    assert parse_times(pa.array([text]))[1].tolist() == [TimeForm.UNREADABLE]


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("7258118399", TimeForm.EPOCH_S),
        ("7258118400", TimeForm.EPOCH_MS),
        ("7258118399999", TimeForm.EPOCH_MS),
        ("7258118400000", TimeForm.EPOCH_US),
        ("-86400", TimeForm.EPOCH_S),
        ("20240131", TimeForm.BASIC_DATE),
        ("20240132", TimeForm.UNREADABLE),
        ("18991231", TimeForm.EPOCH_S),
    ],
)
def test_the_unit_of_a_number_is_told_by_its_magnitude(text: str, form: TimeForm) -> None:
    assert parse_times(pa.array([text]))[1].tolist() == [form]
