from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from core.errors import InvalidInputError
from core.trading.backtest.bar_range import bar_labels, traded_range
from core.trading.backtest.settings import Settings
from core.trading.bars.labels import bar_label
from core.trading.bars.timeframes import MICROSECONDS_PER_DAY, Timeframe
from tests.core.trading.backtest.worked import flat, market

HOURS = market(*flat(1, 72), timeframe=Timeframe.H1)
DATES = replace(market(*flat(1, 5)), label_offset=MICROSECONDS_PER_DAY)


def test_a_date_holds_the_bars_that_end_in_it() -> None:
    day = Settings(start=date(1970, 1, 2), end=date(1970, 1, 2))
    assert traded_range(HOURS, day) == (24, 48)


def test_a_date_only_bar_is_in_the_range_of_its_date() -> None:
    settings = Settings(start=date(1970, 1, 2), end=date(1970, 1, 3))
    first, stop = traded_range(DATES, settings)
    assert bar_labels(DATES, range(first, stop)) == ["1970-01-02", "1970-01-03"]


def test_a_moment_cuts_between_bars() -> None:
    settings = Settings(start=datetime(1970, 1, 1, 2, tzinfo=UTC))
    assert traded_range(HOURS, settings) == (2, 72)


def test_a_range_without_bars_is_refused() -> None:
    with pytest.raises(InvalidInputError) as caught:
        traded_range(HOURS, Settings(start=date(1971, 1, 1)))
    assert caught.value.errors[0].code == "bad_range"


def test_bars_are_shown_as_one_is() -> None:
    odd = replace(HOURS, stamps=HOURS.stamps + 1)
    for bars in (HOURS, DATES, odd):
        assert bar_labels(bars, [0, 3]) == [bar_label(bars, 0), bar_label(bars, 3)]
