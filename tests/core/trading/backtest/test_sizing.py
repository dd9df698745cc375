import math

import numpy as np
import pytest

from core.trading.strategy.signals import LevelKind, Sizing, SizingMethod
from tests.core.trading.backtest.worked import (
    asks,
    entered,
    flat,
    level,
    lived,
    market,
    percent,
    refused,
)


def test_percent_takes_its_share_of_equity_with_costs_included() -> None:
    bars = market(*flat(100, 3))
    signals = asks(bars, long=[0], sizing=Sizing(value=50))
    assert entered(lived(signals, bars, commission_bps=100))[0] == pytest.approx(500 / 101)


def test_all_cash_is_spent_and_not_one_bit_more() -> None:
    bars = market(*flat(3.3, 3))
    simulation = lived(asks(bars, long=[0]), bars, commission_bps=7, per_unit=0.01)
    assert 0.0 <= simulation.state["cash"][0] < 1e-9


def test_a_minimum_fee_is_paid_before_units_are_bought() -> None:
    bars = market(*flat(100, 3))
    assert entered(lived(asks(bars, long=[0]), bars, minimum=50))[0] == pytest.approx(9.5)


def test_units_are_rounded_down_to_the_lot() -> None:
    bars = market(*flat(300, 3))
    assert entered(lived(asks(bars, long=[0]), bars, lot=1))[0] == 3
    tenths = asks(bars, long=[0], sizing=Sizing(SizingMethod.FIXED, 0.3))
    assert entered(lived(tenths, bars, lot=0.1))[0] == pytest.approx(0.3)


def test_what_rounds_down_to_nothing_is_rejected() -> None:
    bars = market(*flat(3000, 3))
    assert refused(lived(asks(bars, long=[0]), bars, lot=1)) == [(1, "size_zero")]


def test_a_fixed_size_that_cash_does_not_cover_is_rejected() -> None:
    bars = market(*flat(100, 3))
    signals = asks(bars, long=[0], sizing=Sizing(SizingMethod.FIXED, 11))
    assert refused(lived(signals, bars)) == [(1, "insufficient_funds")]


def test_risk_loses_its_percent_at_the_stop_fees_included() -> None:
    bars = market(*flat(100, 2), (100, 100, 90, 90), *flat(90, 1))
    sizing = Sizing(SizingMethod.RISK, 1.0, max_leverage=3)
    simulation = lived(
        asks(bars, long=[0], stop=percent(5), sizing=sizing), bars, commission_bps=10, per_unit=0.1
    )
    assert simulation.equity[-1] == pytest.approx(990)


def test_gross_exposure_is_capped_by_leverage() -> None:
    bars = market(*flat(100, 3))
    sizing = Sizing(SizingMethod.RISK, 10.0, max_leverage=2)
    signals = asks(bars, long=[0], stop=level(LevelKind.DISTANCE, 0.5), sizing=sizing)
    assert entered(lived(signals, bars))[0] == pytest.approx(20)


def test_vol_target_weighs_by_the_deviation_up_to_the_signal() -> None:
    closes = [100, 110, 99, 108.9, 98.01, 98.01, 98.01]
    bars = market(*[(c, c, c, c) for c in closes])
    sizing = Sizing(SizingMethod.VOL_TARGET, 20.0, lookback=4)
    simulation = lived(asks(bars, long=[4], sizing=sizing), bars)
    deviation = math.sqrt(4 * 0.01 / 3)
    weight = 0.20 / (deviation * math.sqrt(365))  # a market with bars on Saturdays
    assert entered(simulation)[0] == pytest.approx(1000 * weight / 98.01)


def test_vol_target_is_rejected_before_its_lookback_and_capped_by_its_weight() -> None:
    closes = [100, 100.01, 100, 100.01, 100, 100]
    bars = market(*[(c, c, c, c) for c in closes])
    sizing = Sizing(SizingMethod.VOL_TARGET, 20.0, lookback=3, max_weight=60.0)
    simulation = lived(asks(bars, long=[1, 4], sizing=sizing), bars)
    assert refused(simulation) == [(2, "unknown_size")]
    assert entered(simulation)[0] == pytest.approx(6)


def test_equal_weight_of_one_symbol_is_all_of_it() -> None:
    bars = market(*flat(100, 3))
    signals = asks(bars, long=[0], sizing=Sizing(SizingMethod.EQUAL_WEIGHT))
    assert entered(lived(signals, bars))[0] == 10


def test_a_short_with_costs_is_sized_like_a_long() -> None:
    bars = market(*flat(100, 3))
    assert entered(lived(asks(bars, short=[0]), bars, commission_bps=100))[0] == pytest.approx(
        -1000 / 101
    )


@pytest.mark.parametrize("price", list(np.linspace(0.37, 971.3, 23)))
def test_lots_never_push_cash_below_zero(price: float) -> None:
    bars = market(*flat(price, 3))
    simulation = lived(asks(bars, long=[0]), bars, lot=0.001, commission_bps=13, minimum=0.3)
    assert simulation.state["cash"][0] >= 0.0
