import json

import pytest

from core.trading.backtest.drawing import PREVIEW_POINTS
from core.trading.backtest.run import run_backtest
from core.trading.runs import parts_of
from core.trading.strategy.reading import read_strategy
from tests.laws.strategies import PLAIN, hourly_bars


def test_beside_a_result_stand_its_series_its_picture_and_its_trades() -> None:
    bars = hourly_bars(5, 20_000)
    result = run_backtest(read_strategy(PLAIN), bars)
    parts = parts_of(result, bars, cash=10_000.0)
    assert parts["series.arrow"] == result.series
    trades = [json.loads(line) for line in parts["trades.jsonl"].splitlines()]
    assert trades == result.content()["trades"]
    preview = json.loads(parts["preview.json"])
    whole = result.equity(bars)
    assert set(zip(preview["time"], preview["equity"], strict=True)) <= set(whole)
    equity = [value for _, value in whole]
    assert {min(equity), max(equity), equity[0], equity[-1]} <= set(preview["equity"])
    assert min(preview["drawdown"]) == pytest.approx(-result.summary["max_drawdown"])
    assert len(preview["time"]) == len(preview["drawdown"]) <= PREVIEW_POINTS * 1.1
