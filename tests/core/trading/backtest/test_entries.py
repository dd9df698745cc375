import numpy as np
import pytest

from core.trading.strategy.signals import Entry, Fill
from tests.core.trading.backtest.worked import (
    asks,
    entered,
    flat,
    lived,
    market,
    refused,
    told,
)

LIMIT = {"entry": Entry.LIMIT}
STOP = {"entry": Entry.STOP}


def test_a_limit_fills_at_its_price_or_at_a_better_open() -> None:
    touched = market(*flat(100, 1), (100, 101, 97, 99), *flat(99, 1))
    assert entered(lived(asks(touched, long=[0], price=98, **LIMIT), touched))[1] == 98
    gapped = market(*flat(100, 1), (96, 97, 95, 96), *flat(96, 1))
    assert entered(lived(asks(gapped, long=[0], price=98, **LIMIT), gapped))[1] == 96


def test_a_limit_entry_does_not_slip() -> None:
    bars = market(*flat(100, 1), (100, 101, 97, 99), *flat(99, 1))
    simulation = lived(asks(bars, long=[0], price=98, **LIMIT), bars, slippage_bps=100)
    assert entered(simulation)[1] == 98


def test_a_mere_touch_is_no_fill_where_the_limit_must_be_traded_through() -> None:
    bars = market(*flat(100, 1), (100, 101, 98, 99), *flat(99, 1))
    assert entered(lived(asks(bars, long=[0], price=98, **LIMIT), bars))[1] == 98
    through = asks(bars, long=[0], price=98, limit_through=True, **LIMIT)
    assert entered(lived(through, bars))[0] == 0


@pytest.mark.parametrize(("valid_bars", "fills"), [(1, False), (2, True)])
def test_an_order_lives_for_its_valid_bars(*, valid_bars: int, fills: bool) -> None:
    bars = market(*flat(100, 2), (100, 100, 97, 99), *flat(99, 1))
    signals = asks(bars, long=[0], price=98, valid_bars=valid_bars, **LIMIT)
    assert (entered(lived(signals, bars))[0] > 0) is fills


def test_a_stop_entry_fills_at_its_level_or_at_a_worse_open_and_slips() -> None:
    inside = market(*flat(100, 1), (100, 104, 99, 103), *flat(103, 1))
    assert entered(lived(asks(inside, long=[0], price=102, **STOP), inside))[1] == 102
    gapped = market(*flat(100, 1), (103, 104, 102, 103), *flat(103, 1))
    simulation = lived(asks(gapped, long=[0], price=102, **STOP), gapped, slippage_bps=100)
    assert entered(simulation)[1] == pytest.approx(103 * 1.01)


def test_a_new_signal_replaces_the_order_that_waits() -> None:
    bars = market(*flat(100, 3), (100, 100, 96, 99), *flat(99, 1))
    prices = [98.0, 98.0, 97.0, 97.0, 97.0]
    signals = asks(bars, long=[0, 2], price=prices, valid_bars=9, **LIMIT)
    assert entered(lived(signals, bars))[1] == 97


def test_an_exit_signal_cancels_the_order_that_waits() -> None:
    bars = market(*flat(100, 3), (100, 100, 96, 99), *flat(99, 1))
    signals = asks(bars, long=[0], sell=[1], price=98, valid_bars=9, **LIMIT)
    assert entered(lived(signals, bars))[0] == 0


def test_an_order_at_an_unknown_price_is_rejected() -> None:
    bars = market(*flat(100, 3))
    simulation = lived(asks(bars, long=[0], price=np.nan, **LIMIT), bars)
    assert refused(simulation) == [(0, "unknown_price")]


def test_an_opposite_order_that_fills_reverses_at_its_price() -> None:
    bars = market(*flat(100, 1), (97, 99, 97, 99), (99, 103, 99, 101), *flat(101, 1))
    signals = asks(bars, long=[0], short=[1], price=[98, 102, 0, 0], **LIMIT)
    simulation = lived(signals, bars)
    assert told(simulation) == [(1, 2, 1, 97, 102, "reverse")]
    assert entered(simulation) == (pytest.approx(-simulation.state["cash"][0] / 204, rel=0.1), 102)


def test_this_close_fills_where_it_was_decided() -> None:
    bars = market((100, 100, 100, 101), (105, 106, 104, 106), (108, 108, 107, 107))
    simulation = lived(asks(bars, long=[0], sell=[1], fill=Fill.THIS_CLOSE), bars)
    assert told(simulation) == [(0, 1, 1, 101, 106, "signal")]
    assert simulation.equity[0] == pytest.approx(1000)


def test_an_entry_that_would_fill_outside_the_session_is_rejected() -> None:
    bars = market(*flat(100, 3))
    inside = np.array([1, 0, 1], dtype=np.int8)
    simulation = lived(asks(bars, long=[0], in_session=inside), bars)
    assert refused(simulation) == [(1, "out_of_session")]
