import json
from dataclasses import replace

import pytest

from core.local.samples import aapl_daily_csv, aapl_daily_raw_csv, eurusd_hourly_csv
from core.trading.bars.certificate import certify
from tests.core.trading.bars.builders import a_csv, read, some_bars


def test_aapl_as_quoted_halves_at_its_two_splits_and_crashes_once() -> None:
    certificate = certify(*read(aapl_daily_raw_csv()))
    splits = certificate["suspected_splits"]
    assert [(jump["at"], jump["ratio"]) for jump in splits["list"]] == [
        ("2000-06-21", "2:1"),
        ("2005-02-28", "2:1"),
    ]
    assert [jump["at"] for jump in certificate["large_moves"]["list"]] == ["2000-09-29"]
    assert "Suspected splits that prices were not adjusted for: 2." in certificate["messages"]


def test_adjusted_aapl_has_no_splits_and_the_same_crash() -> None:
    certificate = certify(*read(aapl_daily_csv()))
    assert certificate["suspected_splits"]["count"] == 0
    (crash,) = certificate["large_moves"]["list"]
    assert crash["at"] == "2000-09-29"
    assert crash["price_factor"] == pytest.approx(0.527, abs=0.001)


def test_the_four_days_of_september_2001_are_aapls_only_gap() -> None:
    certificate = certify(*read(aapl_daily_csv()))
    assert certificate["rows"] == 3270
    assert (certificate["first"], certificate["last"]) == ("2000-03-01", "2013-03-01")
    assert certificate["gaps"]["largest"] == [
        {"from": "2001-09-10", "to": "2001-09-17", "missing": 4}
    ]
    assert certificate["gaps"]["holidays"] == 117


@pytest.mark.parametrize(("timezone", "switches"), [("UTC", 0), ("Europe/Berlin", 2)])
def test_christmas_is_eurusds_only_gap(timezone: str | None, switches: int) -> None:
    certificate = certify(*read(eurusd_hourly_csv(), "1h", timezone=timezone))
    assert certificate["rows"] == 6225
    assert certificate["clock_switches"] == switches
    assert certificate["gaps"]["missing_bars"] == 15
    assert certificate["gaps"]["largest"][0]["missing"] == 14
    assert "2017-12-25" in certificate["gaps"]["largest"][0]["from"]
    assert certificate["verdict"] == "warnings"


def test_sound_bars_are_clean_and_the_certificate_is_the_same_each_time() -> None:
    certificate = certify(some_bars())
    assert certificate["verdict"] == "clean"
    assert certificate["messages"] == []
    assert json.dumps(certificate) == json.dumps(certify(some_bars()))


@pytest.mark.parametrize(
    ("column", "value", "counted"),
    [
        ("close", float("nan"), "not_finite"),
        ("low", 0.0, "not_positive"),
        ("high", 1.0, "ohlc_violations"),
        ("volume", 0.0, "zero_volume"),
    ],
)
def test_what_is_wrong_with_bars_from_elsewhere_is_counted(
    column: str, value: float, counted: str
) -> None:
    values = getattr(some_bars(), column).copy()
    values[5] = value
    certificate = certify(replace(some_bars(), **{column: values}))
    assert certificate[counted] == 1
    assert certificate["verdict"] == "warnings"


def test_rounding_is_counted_and_no_warning() -> None:
    rows = [f"2024-03-{day:02},1.5,2,1,{2 + 1e-12!r},1" for day in range(4, 9)]
    certificate = certify(*read(a_csv(*rows)))
    assert certificate["ohlc_rounding"] == 5
    assert certificate["verdict"] == "clean"


def test_bars_out_of_order_and_doubled_are_said() -> None:
    stamps = some_bars().stamps.copy()
    stamps[7] = stamps[6]
    certificate = certify(replace(some_bars(), stamps=stamps))
    assert (certificate["order"], certificate["duplicates"]) == ("broken", 1)


def test_what_reading_found_stands_in_the_certificate() -> None:
    rows = [f"2024-03-0{day},1.5,2,1,1.5,x" for day in (4, 5, 6)]
    bars, notes = read(a_csv(*rows, header="date,open,high,low,close,note"))
    certificate = certify(bars, notes)
    assert certificate["stamp"] == "date"
    assert len(certificate["messages"]) == 2
