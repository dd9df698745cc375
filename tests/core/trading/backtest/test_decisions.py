import pytest

from core.trading.strategy.signals import Sizing, SizingMethod
from tests.core.trading.backtest.worked import asks, entered, flat, lived, market, percent, told


def test_an_exit_together_with_a_same_side_entry_only_exits() -> None:
    bars = market(*flat(100, 5))
    assert told(lived(asks(bars, long=[0, 2], sell=[2]), bars)) == [(1, 3, 1, 100, 100, "signal")]
    assert entered(lived(asks(bars, long=[2], sell=[2]), bars))[0] == 0


def test_both_entries_while_flat_do_nothing() -> None:
    bars = market(*flat(100, 4))
    assert entered(lived(asks(bars, long=[1], short=[1]), bars))[0] == 0


def test_an_opposite_entry_closes_and_opens_at_the_same_open() -> None:
    bars = market(*flat(100, 2), (105, 105, 105, 105), *flat(105, 1))
    simulation = lived(asks(bars, long=[0], short=[1]), bars)
    assert told(simulation) == [(1, 2, 1, 100, 105, "reverse")]
    assert entered(simulation) == (pytest.approx(-10), 105)


def test_the_same_entry_again_does_nothing() -> None:
    bars = market(*flat(100, 5))
    simulation = lived(asks(bars, long=[0, 1, 2]), bars)
    assert simulation.state["entry_bar"][0] == 1


def test_max_bars_leaves_at_the_open_after_so_many_bars() -> None:
    bars = market(*flat(100, 6))
    assert told(lived(asks(bars, long=[0], max_bars=2), bars)) == [(1, 3, 1, 100, 100, "max_bars")]


@pytest.mark.parametrize(("cooldown", "entry_bar"), [(0, 3), (1, 4), (2, 5)])
def test_cooldown_counts_from_an_exit(cooldown: int, entry_bar: int) -> None:
    bars = market(*flat(100, 8))
    signals = asks(bars, long=[0, 2, 3, 4, 5], sell=[1], cooldown_bars=cooldown)
    assert lived(signals, bars).state["entry_bar"][0] == entry_bar


def test_a_cooldown_lets_an_opposite_entry_only_close() -> None:
    bars = market(*flat(100, 5))
    simulation = lived(asks(bars, long=[0], short=[2], cooldown_bars=1), bars)
    assert told(simulation) == [(1, 3, 1, 100, 100, "reverse")]
    assert entered(simulation)[0] == 0


def test_the_drawdown_halt_closes_and_never_resumes() -> None:
    bars = market(*flat(100, 2), (100, 100, 89, 89), *flat(89, 4))
    simulation = lived(asks(bars, long=[0, 4], drawdown_halt_percent=10), bars)
    assert told(simulation) == [(1, 3, 1, 100, 89, "halt")]
    assert entered(simulation)[0] == 0


def test_the_daily_halt_resumes_on_the_next_session_day() -> None:
    bars = market(*flat(100, 2), (100, 100, 97, 97), *flat(97, 6))
    day = bars.stamps // bars.stamps[3]
    signals = asks(bars, long=[0, 3, 5, 6, 7], day=day, daily_loss_halt_percent=2)
    simulation = lived(signals, bars)
    assert day.tolist() == [0, 0, 0, 1, 1, 1, 1, 2, 2]
    assert told(simulation) == [(1, 3, 1, 100, 97, "halt")]
    assert simulation.state["entry_bar"][0] == 4


def test_a_daily_halt_refuses_entries_until_the_day_is_over() -> None:
    bars = market(*flat(100, 2), (100, 100, 97, 97), *flat(97, 6))
    day = bars.stamps // bars.stamps[6]
    signals = asks(bars, long=[0, 3, 4, 5, 7], day=day, daily_loss_halt_percent=2)
    assert lived(signals, bars).state["entry_bar"][0] == 8


def test_ruin_liquidates_at_the_next_open_and_ends_the_run() -> None:
    bars = market(*flat(100, 2), (100, 210, 100, 205), (206, 206, 206, 206), *flat(100, 3))
    sizing = Sizing(SizingMethod.FIXED, 10, max_leverage=2)
    simulation = lived(asks(bars, short=[0, 4], sizing=sizing), bars)
    assert told(simulation) == [(1, 3, -1, 100, 206, "ruin")]
    assert simulation.equity.tolist() == [1000, 1000, -50, -60, -60, -60, -60]
    assert simulation.state["ruined"][0] == 1


def test_a_halt_cancels_an_entry_that_waits() -> None:
    bars = market(*flat(100, 2), (100, 100, 89, 89), *flat(89, 2))
    simulation = lived(asks(bars, long=[0], short=[2], drawdown_halt_percent=10), bars)
    assert told(simulation)[0][5] == "halt"
    assert entered(simulation)[0] == 0


def test_a_stop_may_be_followed_by_an_entry_decided_at_the_same_close() -> None:
    bars = market(*flat(100, 1), (100, 101, 94, 96), *flat(96, 2))
    simulation = lived(asks(bars, long=[0, 1], stop=percent(5)), bars)
    assert simulation.state["entry_bar"][0] == 2
