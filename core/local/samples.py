"""Real bars with a clear licence: `python -m core.local.samples AAPL|AAPL-raw|EURUSD > FILE.csv`.

They come from packages that are installed for the demo and the tests.

AAPL daily, 3,270 bars from 2000-03-01 on: `bokeh_sampledata` (recorded as public domain).
EURUSD hourly, 6,225 bars of 2017, times in UTC without an offset: `gym-anytrading` (MIT).
"""

import csv
import gzip
import importlib.metadata
import io
import sys
from pathlib import Path

from core.errors import ConfigurationError

_BOKEH = ("bokeh_sampledata", "bokeh_sampledata/_data/stocks.csv.gz")
_PRICES = ("Open", "High", "Low", "Close")
_ANYTRADING = ("gym-anytrading", "gym_anytrading/datasets/data/FOREX_EURUSD_1H_ASK.csv")


def aapl_daily_csv() -> bytes:
    """Answer AAPL's daily bars as CSV, prices scaled by adjusted close / close, volume as it was.

    Columns Date, Open, High, Low, Close, Volume; splits and dividends are no jumps in it, and
    2000-09-29 still falls by 52 %, for that was the market.
    """
    return _aapl(adjusted=True)


def aapl_daily_raw_csv() -> bytes:
    """Answer AAPL's daily bars as they were quoted; 2000-06-21 and 2005-02-28 halve by splits."""
    return _aapl(adjusted=False)


def eurusd_hourly_csv() -> bytes:
    """Answer EURUSD's hourly bars of 2017 as CSV, exactly as the package ships them.

    Columns Time (DD.MM.YYYY HH:MM:SS.fff, UTC, of a bar's open), Open, High, Low, Close, Volume.
    """
    return _installed_file(*_ANYTRADING).read_bytes()


def _aapl(*, adjusted: bool) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["Date", *_PRICES, "Volume"])
    with gzip.open(_installed_file(*_BOKEH), "rt", encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if row["Ticker"] == "AAPL":
                scale = float(row["Adj Close"]) / float(row["Close"]) if adjusted else 1.0
                prices = [repr(float(row[name]) * scale) for name in _PRICES]
                writer.writerow([row["Date"], *prices, row["Volume"]])
    return text.getvalue().encode()


def _installed_file(package: str, name: str) -> Path:
    """Answer where a package's file lies, without importing the package."""
    try:
        files = importlib.metadata.files(package) or []
    except importlib.metadata.PackageNotFoundError:
        files = []
    for file in files:
        path = Path(str(file.locate()))
        if file.as_posix() == name and path.is_file():
            return path
    raise ConfigurationError(
        f"The sample data come with the package {package}, which is not installed here: "
        "run `make demo`, or `pip install neozork[local]`."
    )


if __name__ == "__main__":
    _SAMPLES = {"AAPL": aapl_daily_csv, "AAPL-raw": aapl_daily_raw_csv, "EURUSD": eurusd_hourly_csv}
    if sys.argv[1:] and sys.argv[1] in _SAMPLES:
        sys.stdout.buffer.write(_SAMPLES[sys.argv[1]]())
    else:
        sys.exit(f"usage: python -m core.local.samples {'|'.join(_SAMPLES)} > FILE.csv")
