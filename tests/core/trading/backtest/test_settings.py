import math
from datetime import UTC, date, datetime

import pytest

from core.errors import InvalidInputError
from core.trading.backtest.settings import Costs, Settings, check_settings


def test_every_fault_is_told_at_once() -> None:
    wrong = Settings(
        cash=-1.0,
        lot=math.nan,
        costs=Costs(commission_bps=-1, slippage_bps=10_000),
        start=datetime(2020, 1, 1, tzinfo=UTC).replace(tzinfo=None),
    )
    with pytest.raises(InvalidInputError) as caught:
        check_settings(wrong)
    found = {(fault.path, fault.code) for fault in caught.value.errors}
    assert found == {
        ("/cash", "out_of_range"),
        ("/lot", "out_of_range"),
        ("/costs/commission_bps", "out_of_range"),
        ("/costs/slippage_bps", "out_of_range"),
        ("/from", "bad_range"),
    }


def test_a_range_that_begins_after_it_ends_is_refused() -> None:
    with pytest.raises(InvalidInputError):
        check_settings(Settings(start=date(2020, 1, 2), end=date(2020, 1, 1)))
    with pytest.raises(InvalidInputError):
        check_settings(
            Settings(start=datetime(2020, 1, 2, tzinfo=UTC), end=datetime(2020, 1, 1, tzinfo=UTC))
        )


def test_the_defaults_are_valid() -> None:
    check_settings(Settings())
