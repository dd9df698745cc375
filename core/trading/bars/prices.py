"""What a bar's numbers must be: finite, positive, and within its own range."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from core.trading.bars.faults import FileFaults
from core.trading.bars.header import NUMBERS, PRICES
from core.trading.bars.series import FlagArray, FloatArray
from core.wording import in_full

ROUNDING = 1e-9


def check_prices(
    columns: Mapping[str, FloatArray], unreadable: Mapping[str, FlagArray], faults: FileFaults
) -> None:
    """Add what is wrong with the numbers of a file.

    `columns`: of the file's columns among open, high, low, close and volume, float64[n];
    `unreadable`: per column int8[n], 1 where a text was no number (it has its fault already).
    An open or close outside high and low by less than 1e-9 of the price is rounding, and left
    to the certificate.
    """
    for name in NUMBERS:
        if name in columns:
            _check_column(name, columns[name], unreadable[name], faults)
    if not all(name in columns for name in PRICES):
        return
    high, low = columns["high"], columns["low"]
    sane = np.isfinite(high) & np.isfinite(low) & (high > 0) & (low > 0)
    inverted = sane & (high < low)
    faults.add_rows(
        "high_below_low",
        np.flatnonzero(inverted),
        lambda row: f"its high {in_full(high[row])} is below its low {in_full(low[row])}.",
        hint="Check that high and low are not swapped.",
    )
    for name in ("open", "close"):
        _check_inside(name, columns, sane & ~inverted, faults)


def _check_column(name: str, values: FloatArray, unreadable: FlagArray, faults: FileFaults) -> None:
    absent = np.isnan(values) & (unreadable == 0)
    faults.add_rows(
        "nan",
        np.flatnonzero(absent),
        f"its {name} has no value.",
        hint="Leave out bars that did not trade; nothing is filled in.",
    )
    faults.add_rows("infinity", np.flatnonzero(np.isinf(values)), f"its {name} is infinite.")
    below = np.flatnonzero(values < 0)
    code = "negative_volume" if name == "volume" else "negative_price"
    faults.add_rows(code, below, lambda row: f"its {name} is {in_full(values[row])}, below zero.")
    if name != "volume":
        faults.add_rows(
            "zero_price",
            np.flatnonzero(values == 0),
            f"its {name} is zero.",
            hint="Leave out bars that did not trade.",
        )


def _check_inside(
    name: str, columns: Mapping[str, FloatArray], sane: NDArray[np.bool_], faults: FileFaults
) -> None:
    value, high, low = columns[name], columns["high"], columns["low"]
    usable = sane & np.isfinite(value) & (value > 0)
    outside = (value > high * (1 + ROUNDING)) | (value < low * (1 - ROUNDING))
    faults.add_rows(
        f"{name}_outside_range",
        np.flatnonzero(usable & outside),
        lambda row: (
            f"its {name} {in_full(value[row])} is outside its range "
            f"{in_full(low[row])} to {in_full(high[row])}."
        ),
        hint="Prices of one bar must come from one source, with one adjustment.",
    )
