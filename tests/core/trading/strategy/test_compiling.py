from core.trading.strategy.compiling import compile_signals
from core.trading.strategy.reading import read_strategy
from tests.laws.strategies import ALL, hourly_bars


def test_days_are_there_for_the_rules_that_read_them_alone() -> None:
    bars = hourly_bars(5, 100)
    days = {name: compile_signals(read_strategy(ALL[name]), {}, bars).day for name in ALL}
    assert {name for name, day in days.items() if day is not None} == {"guarded", "session"}


def test_without_a_session_its_flags_are_one_for_all_bars() -> None:
    signals = compile_signals(read_strategy(ALL["plain"]), {}, hourly_bars(5, 100))
    flags = (signals.in_session, signals.session_close, signals.session_start)
    assert [flag.tolist() for flag in flags] == [[1], [0], [0]]
