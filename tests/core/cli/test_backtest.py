"""The real command in a process of its own, with no server and no tenant."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

STRATEGY = """
spec: strategy/1
name: turns
timeframe: 1d
params:
  n: {type: int, default: 2, min: 2, max: 5}
inputs:
  line: {ta: SMA, with: {timeperiod: $n}}
long: {entry: "close > line", exit: "close < line"}
"""
CLOSES = (10, 11, 12, 11, 10, 11, 12, 13, 12, 11)
HEADER = "Date,Open,High,Low,Close,Volume"
DAYS = [f"2024-01-{day:02}" for day in range(1, 11)]


def rows(stamps: list[str]) -> list[str]:
    return [f"{at},{c},{c + 1},{c - 1},{c},100" for at, c in zip(stamps, CLOSES, strict=True)]


def backtest(folder: Path, *arguments: str, **files: str | bytes) -> subprocess.CompletedProcess:
    """Run it over bars.csv and strategy.yaml of the folder, which `files` replace."""
    contents = {"bars": "\n".join([HEADER, *rows(DAYS)]), "strategy": STRATEGY} | files
    names = {"bars": "bars.csv", "strategy": "strategy.yaml"}
    for kind, content in contents.items():
        raw = content if isinstance(content, bytes) else content.encode()
        (folder / names[kind]).write_bytes(raw)
    command = [sys.executable, "-m", "manage", "backtest"]
    given = ["--bars", "bars.csv", "--strategy", "strategy.yaml"]
    repository = Path(__file__).resolve().parents[3]
    nothing_but = {"PATH": "", "HOME": os.environ["HOME"], "PYTHONPATH": str(repository)}
    cache = {name: os.environ[name] for name in ("NUMBA_CACHE_DIR",) if name in os.environ}
    return subprocess.run(
        [*command, *([] if "--bars" in arguments else given), *arguments],
        cwd=folder,
        env=nothing_but | cache,
        capture_output=True,
        text=True,
        check=False,
    )


def document(folder: Path, *arguments: str, **files: str | bytes) -> dict[str, Any]:
    done = backtest(folder, "--json", *arguments, **files)
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


def faults(folder: Path, *arguments: str, **files: str | bytes) -> list[tuple[str, str]]:
    """Answer (path, code) of what the command refuses, which is all that it may say."""
    done = backtest(folder, *arguments, **files)
    assert (done.returncode, done.stdout) == (2, "")
    problem = json.loads(done.stderr)
    assert problem["detail"]
    assert all({"message", "hint", "at"} <= set(error) for error in problem["errors"])
    return [(error["path"], error["code"]) for error in problem["errors"]]


def test_the_summary_reads_at_a_terminal(tmp_path: Path) -> None:
    done = backtest(tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0] == "turns: bars 1d, 2024-01-01 to 2024-01-10"
    assert any("Sharpe" in line and "verdict: untested" in line for line in lines)
    assert any("2024-01-03" in line and "signal" in line for line in lines)


def test_the_document_has_the_fields_that_were_promised(tmp_path: Path) -> None:
    answer = document(tmp_path)
    first = answer["trades"][0]
    assert set(first) == {
        *("symbol", "side", "entry_bar", "exit_bar", "entry_time", "exit_time", "entry_price"),
        *("exit_price", "quantity", "pnl", "fees", "exit_reason"),
    }
    assert (first["entry_bar"], first["entry_time"]) == (2, "2024-01-03")
    assert (first["exit_bar"], first["exit_time"]) == (4, "2024-01-05")
    assert (first["symbol"], first["side"], first["exit_reason"]) == ("bars", "long", "signal")
    assert [time for time, _ in answer["equity"]] == DAYS
    assert answer["equity"][0][1] == 10_000
    assert answer["equity"][-1][1] == answer["summary"]["final_equity"]
    assert answer["summary"]["trades"] == len(answer["trades"]) == 2
    assert answer["summary"]["verdict"] == "untested"
    hashes = [answer[name] for name in ("result_id", "spec_hash", "data_hash")]
    assert [len(text) for text in hashes] == [64, 64, 64]
    assert answer["engine"] == "neozork/1"
    assert (answer["open_positions"], answer["rejected"], answer["warnings"]) == ([], [], [])


def test_the_same_command_prints_the_same_bytes(tmp_path: Path) -> None:
    assert backtest(tmp_path, "--json").stdout == backtest(tmp_path, "--json").stdout


def test_set_changes_a_parameter(tmp_path: Path) -> None:
    assert document(tmp_path, "--set", "n=3")["params"] == {"n": 3}
    assert faults(tmp_path, "--set", "m=3") == [("/params/m", "unknown_param")]
    assert faults(tmp_path, "--set", "n=9") == [("/params/n", "out_of_range")]
    assert faults(tmp_path, "--set", "n") == [("/params", "type")]


def test_from_and_to_bound_what_is_traded_and_bars_before_warm_up(tmp_path: Path) -> None:
    answer = document(tmp_path, "--from", "2024-01-06", "--to", "2024-01-09")
    assert [time for time, _ in answer["equity"]] == DAYS[5:9]
    assert answer["range"]["first_bar"] == 5
    assert [held["entry_bar"] for held in answer["open_positions"]] == [6]
    assert faults(tmp_path, "--from", "2025-01-01") == [("/from", "bad_range")]
    assert faults(tmp_path, "--from", "yesterday") == [("/from", "bad_time")]


def test_costs_lots_and_cash_are_the_runs(tmp_path: Path) -> None:
    answer = document(
        *(tmp_path, "--cash", "1000", "--commission-bps", "20"),
        *("--slippage-bps", "5", "--lot", "1"),
    )
    first = answer["trades"][0]
    assert first["entry_price"] == 12 * 1.0005
    assert first["quantity"] == 83
    assert first["fees"] > 0
    assert answer["settings"]["cash"] == 1000
    assert faults(tmp_path, "--cash", "0", "--lot", "-1") == [
        ("/cash", "out_of_range"),
        ("/lot", "out_of_range"),
    ]


def test_a_profile_trades_as_its_engine_and_says_what_it_ignores(tmp_path: Path) -> None:
    answer = document(tmp_path, "--profile", "backtesting.py", "--lot", "0.1")
    assert answer["trades"][0]["quantity"] == int(10_000 / 12)
    assert [warning["code"] for warning in answer["warnings"]] == ["ignored_by_profile"]
    trailing = STRATEGY + "risk: {trail: {percent: 2}}\n"
    assert faults(tmp_path, "--profile", "vectorbt", strategy=trailing) == [
        ("/risk/trail", "not_in_profile")
    ]


def hourly(offset: str) -> str:
    return "\n".join([HEADER, *rows([f"2024-01-02T{hour:02}:00:00{offset}" for hour in range(10)])])


def test_times_without_an_offset_need_a_timezone(tmp_path: Path) -> None:
    strategy = STRATEGY.replace("1d", "1h")
    found = faults(tmp_path, bars=hourly(""), strategy=strategy)
    assert [code for _, code in found] == ["naive_time"]
    told = document(
        *(tmp_path, "--timezone", "America/New_York"), bars=hourly(""), strategy=strategy
    )
    known = document(tmp_path, bars=hourly("-05:00"), strategy=strategy)
    assert told["equity"] == known["equity"]
    assert told["equity"][0][0] == "2024-01-02T06:00:00Z"
    [(_, code)] = faults(*(tmp_path, "--timezone", "Mars/Base"), bars=hourly(""), strategy=strategy)
    assert code == "unknown_timezone"


def test_stamp_says_whether_the_file_names_a_bar_by_its_open_or_its_close(tmp_path: Path) -> None:
    strategy = STRATEGY.replace("1d", "1h")
    by_close = document(tmp_path, "--stamp", "close", bars=hourly("Z"), strategy=strategy)
    assert by_close["equity"][0][0] == "2024-01-02T00:00:00Z"
    by_open = document(tmp_path, "--stamp", "open", bars=hourly("Z"), strategy=strategy)
    assert by_open["equity"][0][0] == "2024-01-02T01:00:00Z"


def test_a_file_at_another_timeframe_is_refused(tmp_path: Path) -> None:
    [(_, code)] = faults(tmp_path, bars=hourly("Z"))
    assert code == "bad_timeframe"


def test_unknown_columns_are_named_in_a_warning(tmp_path: Path) -> None:
    lines = ["Note," + HEADER, *(f"x,{row}" for row in rows(DAYS))]
    (warning,) = document(tmp_path, bars="\n".join(lines))["warnings"]
    assert warning["code"] == "ignored_columns"
    assert "Note" in warning["message"]


def test_a_strategy_that_never_trades_succeeds_and_says_so(tmp_path: Path) -> None:
    never = STRATEGY.replace("close > line", "close > 1000")
    answer = document(tmp_path, strategy=never)
    assert [warning["code"] for warning in answer["warnings"]] == ["no_trades"]
    assert answer["summary"]["final_equity"] == 10_000


def test_fewer_bars_than_the_warm_up_are_refused(tmp_path: Path) -> None:
    long = STRATEGY.replace("max: 5", "max: 50").replace("default: 2", "default: 50")
    assert faults(tmp_path, strategy=long) == [("/bars", "insufficient_history")]


def test_every_fault_of_a_strategy_comes_at_once(tmp_path: Path) -> None:
    bad = STRATEGY.replace("SMA", "SMMA").replace("close < line", "close[-1] < lin")
    assert sorted(faults(tmp_path, strategy=bad)) == [
        ("/inputs/line/ta", "unknown_indicator"),
        ("/long/exit", "looks_ahead"),
        ("/long/exit", "unknown_name"),
    ]


@pytest.mark.parametrize("content", ["", "\n", HEADER, b"\x00\xff\xfe" * 100, b"PAR1\x00\x01PAR1"])
def test_a_file_that_holds_no_bars_is_refused(tmp_path: Path, content: str | bytes) -> None:
    assert faults(tmp_path, bars=content)


@pytest.mark.parametrize("content", ["", b"\x00\xff\xfe", b"\x89PNG\r\n", "- a\n- b", "a: [", "1"])
def test_a_file_that_holds_no_strategy_is_refused(tmp_path: Path, content: str | bytes) -> None:
    assert faults(tmp_path, strategy=content)


@pytest.mark.parametrize("name", ["nowhere.csv", "."])
def test_a_file_that_is_not_there_is_refused(tmp_path: Path, name: str) -> None:
    assert faults(tmp_path, "--bars", name, "--strategy", "strategy.yaml") == [
        ("/bars", "unreadable")
    ]
    assert faults(tmp_path, "--bars", name, "--strategy", name) == [
        ("/bars", "unreadable"),
        ("/strategy", "unreadable"),
    ]
