import json
from dataclasses import replace
from datetime import date
from typing import Any

import numpy as np
import pytest
import rfc8785

from core.errors import InvalidInputError
from core.trading.backtest.run import run_backtest
from core.trading.backtest.series import series_hash
from core.trading.backtest.settings import Costs, Profile, Settings
from core.trading.bars.canonical import data_hash
from core.trading.bars.series import Bars
from core.trading.bars.timeframes import MICROSECONDS_PER_DAY, Timeframe
from core.trading.strategy.reading import read_strategy
from core.trading.strategy.rules import Strategy
from tests.core.trading.backtest.worked import market


def a_wave(count: int = 200) -> Bars:
    close = 100 + 10 * np.sin(np.arange(count) / 7)
    bars = market(*[(c, c + 1, c - 1, c) for c in close])
    return replace(bars, label_offset=MICROSECONDS_PER_DAY)


def a_cross(**more: Any) -> Strategy:
    up, down = "crosses_above(close, slow)", "crosses_below(close, slow)"
    document = {
        "spec": "strategy/1",
        "name": "cross",
        "timeframe": "1d",
        "params": {"n": {"type": "int", "default": 10, "min": 2, "max": 50}},
        "inputs": {"slow": {"ta": "SMA", "with": {"timeperiod": "$n"}}},
        "long": {"entry": up, "exit": down},
    }
    return read_strategy(document | more)


def test_the_document_is_canonical_and_holds_what_was_promised() -> None:
    result = run_backtest(a_cross(), a_wave(), settings=Settings(costs=Costs(commission_bps=10)))
    content = result.content()
    assert rfc8785.dumps(content) == result.document
    assert content["result_id"] == result.result_id
    promised = {"result_id", "spec_hash", "data_hash", "engine", "summary", "trades"}
    assert promised | {"open_positions", "rejected", "warnings"} <= set(content)
    assert set(content["trades"][0]) == {
        "symbol",
        "side",
        "entry_bar",
        "exit_bar",
        "entry_time",
        "exit_time",
        "entry_price",
        "exit_price",
        "quantity",
        "pnl",
        "fees",
        "exit_reason",
    }
    assert content["summary"]["verdict"] == "untested"
    assert content["summary"]["trades"] == len(content["trades"]) > 3
    assert content["series"]["sha256"] == series_hash(result.series)


def test_the_summary_agrees_with_trades_and_equity() -> None:
    bars = a_wave()
    result = run_backtest(a_cross(), bars)
    content, equity = result.content(), result.equity(bars)
    assert equity[0] == ("1970-01-01", 10_000.0)
    assert equity[-1][1] == content["summary"]["final_equity"]
    pnl = sum(row["pnl"] for row in content["trades"] + content["open_positions"])
    assert content["summary"]["final_equity"] == pytest.approx(10_000 + pnl)


def test_the_same_inputs_give_the_same_bytes_and_any_other_another_id() -> None:
    bars, strategy = a_wave(), a_cross()
    one, again = run_backtest(strategy, bars), run_backtest(strategy, bars)
    assert (one.document, one.series) == (again.document, again.series)
    others = [
        run_backtest(strategy, bars, params={"n": 11}),
        run_backtest(strategy, a_wave(201)),
        run_backtest(strategy, bars, settings=Settings(cash=9_999.0)),
        run_backtest(strategy, bars, settings=Settings(lot=1.0)),
        run_backtest(strategy, bars, settings=Settings(costs=Costs(slippage_bps=1))),
        run_backtest(strategy, bars, settings=Settings(profile=Profile.VECTORBT)),
        run_backtest(strategy, bars, settings=Settings(start=date(1970, 1, 5))),
        run_backtest(strategy, bars, settings=Settings(seed=1)),
    ]
    assert len({result.result_id for result in [one, *others]}) == 9


def test_bars_before_the_range_warm_up_and_are_not_traded() -> None:
    bars = a_wave()
    result = run_backtest(a_cross(), bars, settings=Settings(start=date(1970, 3, 1)))
    content = result.content()
    first = content["range"]["first_bar"]
    assert content["range"]["from"] == "1970-03-01"
    assert content["trades"][0]["entry_bar"] > first
    assert content["summary"]["bars"] == len(bars) - first == len(result.equity(bars))


def test_a_strategy_that_never_trades_succeeds_with_a_warning() -> None:
    never = a_cross(long={"entry": "close > 1000", "exit": "close < slow"})
    content = run_backtest(never, a_wave()).content()
    assert "no_trades" in [warning["code"] for warning in content["warnings"]]
    assert content["summary"]["sharpe"] is None
    assert content["summary"]["profit_factor"] is None


def test_bars_of_a_symbol_that_the_universe_does_not_name_are_refused() -> None:
    bars = replace(a_wave(), symbol="AAPL")
    strategy = a_cross(universe={"symbols": ["EURUSD"]})
    with pytest.raises(InvalidInputError) as caught:
        run_backtest(strategy, bars)
    (fault,) = caught.value.errors
    assert (fault.path, fault.code) == ("/universe/symbols", "unknown_symbol")
    assert fault.hint
    for symbol in ("eurusd", "EURUSD "):
        with pytest.raises(InvalidInputError):
            run_backtest(strategy, replace(bars, symbol=symbol))
    run_backtest(strategy, replace(bars, symbol="EURUSD"))


def test_bars_of_another_timeframe_are_refused() -> None:
    hours = replace(a_wave(), timeframe=Timeframe.H1)
    with pytest.raises(InvalidInputError) as caught:
        run_backtest(a_cross(), hours)
    assert [fault.code for fault in caught.value.errors] == ["bad_timeframe"]


def test_a_rejected_order_is_listed_with_its_reason() -> None:
    bars = a_wave()
    content = run_backtest(a_cross(), bars, settings=Settings(cash=50.0, lot=1.0)).content()
    assert {row["reason"] for row in content["rejected"]} == {"size_zero"}
    assert set(content["rejected"][0]) == {
        "symbol",
        "side",
        "signal_bar",
        "bar",
        "time",
        "reason",
    }


def test_the_profile_backtesting_py_crosses_strictly() -> None:
    rows = [(100, 100, 100, 100)] * 20 + [(100, 101, 99, 101)] * 3
    bars = market(*rows)
    native = run_backtest(a_cross(), bars).content()
    strict = run_backtest(a_cross(), bars, settings=Settings(profile=Profile.BACKTESTING_PY))
    assert len(native["open_positions"]) == 1
    assert strict.content()["open_positions"] == []


def test_nothing_of_numpy_stands_in_a_summary() -> None:
    summary = run_backtest(a_cross(), a_wave()).summary
    json.dumps(dict(summary))
    assert {type(value) for value in summary.values()} <= {int, float, str, bool, type(None)}


def test_fewer_bars_than_the_warm_up_are_refused() -> None:
    with pytest.raises(InvalidInputError) as caught:
        run_backtest(a_cross(), a_wave(9))
    assert [fault.code for fault in caught.value.errors] == ["insufficient_history"]
    run_backtest(a_cross(), a_wave(10))


def test_a_content_hash_that_the_loader_has_checked_is_taken_as_it_is() -> None:
    bars = a_wave()
    computed = run_backtest(a_cross(), bars)
    assert run_backtest(a_cross(), bars, content_hash=data_hash(bars)) == computed
    told = run_backtest(a_cross(), bars, content_hash="0" * 64)
    assert told.content()["data_hash"] == "0" * 64
