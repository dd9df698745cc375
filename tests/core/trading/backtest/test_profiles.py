import pytest

from core.errors import InvalidInputError
from core.trading.backtest.profiles import profile_faults, profile_warnings
from core.trading.backtest.run import simulate
from core.trading.backtest.settings import Costs, Profile, Settings
from core.trading.strategy.signals import Entry, LevelKind, Sizing, SizingMethod
from tests.core.trading.backtest.worked import asks, flat, level, market, percent

BARS = market(*flat(100, 4))
OTHERS = [Profile.BACKTESTING_PY, Profile.VECTORBT]


@pytest.mark.parametrize("profile", OTHERS)
def test_what_a_profile_cannot_express_is_refused_all_at_once(profile: Profile) -> None:
    signals = asks(
        BARS,
        long=[0],
        price=1.0,
        entry=Entry.LIMIT,
        trail=percent(1),
        sizing=Sizing(SizingMethod.FIXED, 1.0, max_leverage=2),
        drawdown_halt_percent=5,
    )
    settings = Settings(profile=profile, costs=Costs(minimum=1), close_at_end=True)
    paths = {fault.path for fault in profile_faults(signals, settings)}
    assert paths == {
        "/sizing/method",
        "/sizing/max_leverage",
        "/orders/entry",
        "/risk/trail",
        "/risk/portfolio_drawdown_halt",
        "/costs/minimum",
        "/close_at_end",
    }
    with pytest.raises(InvalidInputError):
        simulate(signals, BARS, settings)


def test_vectorbt_takes_no_absolute_levels_and_reverses_only_all_of_it() -> None:
    settings = Settings(profile=Profile.VECTORBT)
    absolute = asks(BARS, long=[0], stop=level(LevelKind.PRICE, 90))
    assert [fault.path for fault in profile_faults(absolute, settings)] == ["/risk/stop"]
    half = asks(BARS, long=[0], short=[1], sizing=Sizing(value=50))
    assert [fault.path for fault in profile_faults(half, settings)] == ["/sizing/percent"]


@pytest.mark.parametrize("profile", OTHERS)
def test_a_lot_is_ignored_with_a_warning(profile: Profile) -> None:
    warnings = profile_warnings(Settings(profile=profile, lot=1))
    assert [warning.code for warning in warnings] == ["ignored_by_profile"]
    assert profile_warnings(Settings(profile=profile)) == []
    assert profile_warnings(Settings(lot=1)) == []
