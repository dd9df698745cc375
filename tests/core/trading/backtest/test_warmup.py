from core.trading.backtest.warmup import warmup_bars
from core.trading.strategy.reading import read_strategy


def needed(**inputs: dict[str, object]) -> int:
    document = {
        "spec": "strategy/1",
        "name": "warm",
        "timeframe": "1d",
        "inputs": inputs,
        "long": {"entry": f"close > {next(reversed(inputs))}", "exit": "close < 1"},
    }
    return warmup_bars(read_strategy(document), {})


def test_an_indicator_needs_its_lookback() -> None:
    assert needed(slow={"ta": "SMA", "with": {"timeperiod": 10}}) == 9


def test_a_higher_timeframe_counts_as_the_bars_that_fill_it() -> None:
    slow = {"ta": "SMA", "with": {"timeperiod": 5}, "timeframe": "1w"}
    assert needed(slow=slow) == 4 * 7


def test_an_input_over_an_input_adds_up() -> None:
    first = {"ta": "SMA", "with": {"timeperiod": 10}}
    assert needed(a=first, b={"ta": "EMA", "on": "a", "with": {"timeperiod": 5}}) == 9 + 4
