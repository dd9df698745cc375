import pytest

from core.trading.strategy.signals import Sizing, SizingMethod
from tests.core.trading.backtest.worked import asks, entered, flat, lived, market, percent, told

RISE = [*flat(10, 2), (10, 12, 10, 12), (12, 13, 11, 13), (13, 13, 13, 13)]
TEN_UNITS = Sizing(method=SizingMethod.FIXED, value=10)


def test_an_order_decided_at_a_close_fills_at_the_next_open() -> None:
    bars = market(*RISE)
    simulation = lived(asks(bars, long=[1], sell=[2]), bars)
    assert told(simulation) == [(2, 3, 1, 10.0, 12.0, "signal")]
    assert simulation.equity.tolist() == [1000, 1000, 1200, 1200, 1200]


def test_commission_is_charged_on_both_fills_and_taken_from_the_trade() -> None:
    bars = market(*RISE)
    simulation = lived(asks(bars, long=[1], sell=[2], sizing=TEN_UNITS), bars, commission_bps=100)
    trade = simulation.trades[0]
    assert trade["fees"] == pytest.approx(10 * 10 * 0.01 + 10 * 12 * 0.01)
    assert trade["pnl"] == pytest.approx(20 - 2.2)
    assert simulation.equity[-1] == pytest.approx(1017.8)


def test_the_fee_is_the_larger_of_minimum_and_commission_with_per_unit() -> None:
    bars = market(*RISE)
    signals = asks(bars, long=[1], sell=[2], sizing=TEN_UNITS)
    assert lived(signals, bars, per_unit=0.5).trades["fees"][0] == pytest.approx(5 + 5)
    assert lived(signals, bars, per_unit=0.5, minimum=7).trades["fees"][0] == pytest.approx(14)


def test_slippage_moves_market_and_stop_fills_against_the_trader() -> None:
    bars = market(*RISE)
    simulation = lived(asks(bars, long=[1], sell=[2], sizing=TEN_UNITS), bars, slippage_bps=100)
    assert told(simulation) == [(2, 3, 1, 10.1, 11.88, "signal")]
    falling = market(*flat(10, 2), (10, 10, 8, 8), *flat(8, 1))
    stopped = lived(
        asks(falling, long=[1], stop=percent(10), sizing=TEN_UNITS), falling, slippage_bps=100
    )
    stop = 10.1 * 0.9
    assert told(stopped) == [(2, 2, 1, 10.1, round(stop * 0.99, 9), "stop")]


def test_a_target_does_not_slip() -> None:
    bars = market(*RISE)
    simulation = lived(
        asks(bars, long=[1], target=percent(10), sizing=TEN_UNITS), bars, slippage_bps=100
    )
    assert told(simulation) == [(2, 2, 1, 10.1, 11.11, "target")]


def test_a_borrowed_short_pays_for_the_days_it_was_held_act_365() -> None:
    bars = market(*flat(100, 6))
    signals = asks(bars, short=[0], cover=[3], sizing=Sizing(SizingMethod.FIXED, 5))
    simulation = lived(signals, bars, borrow_apr=36.5)
    assert simulation.trades["fees"][0] == pytest.approx(3 * 5 * 100 * 0.365 / 365)
    assert simulation.equity[-1] == pytest.approx(1000 - 1.5)


def test_negative_cash_pays_interest() -> None:
    bars = market(*flat(100, 4))
    signals = asks(bars, long=[0], sizing=Sizing(value=200, max_leverage=2))
    simulation = lived(signals, bars, finance_apr=36.5)
    assert entered(simulation)[0] == 20
    owed = [1000.0, 1000.0 * 1.001]
    assert simulation.equity[2] == pytest.approx(1000 - owed[0] * 0.001)
    assert simulation.equity[3] == pytest.approx(1000 - owed[0] * 0.001 - owed[1] * 0.001)


def test_a_minimum_fee_larger_than_the_proceeds_leaves_a_cash_account_at_zero() -> None:
    bars = market(*flat(100, 2), (100, 100, 0.01, 0.01), *flat(0.01, 2))
    simulation = lived(asks(bars, long=[0], sell=[2]), bars, minimum=5)
    assert simulation.state["cash"][0] == 0.0
    assert simulation.equity[-1] == 0.0


def test_prices_are_not_rounded_and_cash_earns_nothing() -> None:
    odd = 10.123456789012
    bars = market(*flat(10, 2), (odd, odd, odd, odd), *flat(odd, 3))
    simulation = lived(asks(bars, long=[1], sell=[2], sizing=TEN_UNITS), bars, finance_apr=50)
    assert simulation.trades["entry_price"][0] == odd
    assert simulation.equity.tolist() == [1000.0] * 6
