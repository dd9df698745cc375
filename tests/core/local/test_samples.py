import importlib.metadata
import sys
from collections.abc import Callable

import pytest

from core.errors import ConfigurationError
from core.local.samples import aapl_daily_csv, aapl_daily_raw_csv, eurusd_hourly_csv


def test_adjusted_prices_differ_from_raw_ones_by_one_factor_a_day() -> None:
    raw = aapl_daily_raw_csv().decode().splitlines()
    adjusted = aapl_daily_csv().decode().splitlines()
    assert raw[0] == adjusted[0] == "Date,Open,High,Low,Close,Volume"
    assert len(raw) == len(adjusted) == 3271
    for before, after in zip(raw[1:], adjusted[1:], strict=True):
        quoted, scaled = before.split(","), after.split(",")
        assert (quoted[0], quoted[5]) == (scaled[0], scaled[5])
        factors = [float(scaled[n]) / float(quoted[n]) for n in range(1, 5)]
        assert factors == pytest.approx([factors[0]] * 4, rel=1e-12)


def test_the_first_bar_is_that_of_the_source() -> None:
    assert aapl_daily_raw_csv().splitlines()[1] == b"2000-03-01,118.56,132.06,118.5,130.31,9616100"


def test_eurusd_is_handed_out_as_shipped() -> None:
    lines = eurusd_hourly_csv().splitlines()
    assert lines[0] == b"Time,Open,High,Low,Close,Volume"
    assert lines[1].startswith(b"01.01.2017 22:00:00.000,1.05236,")
    assert len(lines) == 6226


def test_the_packages_are_not_imported() -> None:
    before = set(sys.modules)
    eurusd_hourly_csv()
    aapl_daily_csv()
    heavy = {"gymnasium", "gym_anytrading", "bokeh_sampledata"}
    assert not heavy & (set(sys.modules) - before)


@pytest.mark.parametrize("sample", [aapl_daily_csv, eurusd_hourly_csv])
def test_a_missing_package_is_named(
    sample: Callable[[], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(package: str) -> None:
        raise importlib.metadata.PackageNotFoundError(package)

    monkeypatch.setattr(importlib.metadata, "files", missing)
    with pytest.raises(ConfigurationError, match=r"bokeh_sampledata|gym-anytrading"):
        sample()
