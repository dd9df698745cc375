import hashlib
import json
import os
import subprocess
import sys
from functools import cache
from typing import Any

import numpy as np
import pytest

from core.errors import InvalidInputError
from core.trading.bars.series import FloatArray
from core.trading.indicators.catalogue import (
    MAMA_TYPE,
    PLATFORM_BOUND,
    Indicator,
    indicator,
    indicator_names,
)
from core.trading.indicators.computation import compute, lookback
from core.trading.strategy.reading import read_strategy

BARS, MANY_BARS = 600, 20_000
MASK = {"GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX2,-FMA,-FMA4"}
HASHES = "from tests.core.trading.indicators.test_catalogue import print_hashes; print_hashes()"


@cache
def columns() -> dict[str, FloatArray]:
    """Answer series by name, of exact arithmetic alone: the same bits with and without FMA."""
    noise = np.random.default_rng(2)
    close = 500.0 + np.cumsum(noise.random(MANY_BARS) - 0.5)
    start = np.concatenate(([500.0], close[:-1]))
    return {
        "open": start,
        "high": np.maximum(start, close) + noise.random(MANY_BARS),
        "low": np.minimum(start, close) - noise.random(MANY_BARS),
        "close": close,
        "volume": np.floor(1_000 * noise.random(MANY_BARS)) + 1.0,
        "periods": np.floor(10 * noise.random(MANY_BARS)) + 2.0,
    }


def function(name: str) -> Indicator:
    found = indicator(name)
    assert found is not None
    return found


def series_for(found: Indicator, *, bars: int = BARS) -> list[FloatArray]:
    """Answer what the function reads; a ratio in place of the price where it is made for one."""
    ratios = found.name in {"ACOS", "ASIN", "EXP", "COSH", "SINH", "TANH"}
    series = [columns()[name][:bars].copy() for name in found.sources]
    return [column % 1.0 for column in series] if ratios else series


def variants(found: Indicator) -> list[dict[str, float]]:
    types = [argument for argument in found.arguments.values() if argument.is_ma_type]
    chosen = [{types[0].name: float(value)} for value, _ in types[0].choices] if types else []
    return [{}, *chosen]


def hashes() -> dict[str, str]:
    told = {}
    for name in indicator_names():
        found = function(name)
        for arguments in variants(found):
            series = series_for(found, bars=MANY_BARS)
            outputs = b"".join(x.tobytes() for x in compute(found, series, arguments))
            bound = found.is_platform_bound(arguments)
            told[f"{name} {arguments} {bound}"] = hashlib.sha256(outputs).hexdigest()
    return told


def print_hashes() -> None:
    sys.stdout.write(json.dumps(hashes()))


def test_without_fma_no_bits_change_but_those_of_the_functions_that_are_listed() -> None:
    command = [sys.executable, "-c", HASHES]
    done = subprocess.run(command, env=os.environ | MASK, capture_output=True, check=True)
    masked = json.loads(done.stdout)
    here = hashes()
    assert masked.keys() == here.keys()
    changed = {call for call, told in here.items() if masked[call] != told}
    if not changed:
        pytest.skip("this machine has no FMA, or its libc masks none")
    assert {call for call in changed if call.endswith(" False")} == set()
    assert {"SIN", "EXP", "LN"} & {call.split()[0] for call in changed}


def test_mama_as_an_average_is_listed_with_its_own() -> None:
    assert "MAMA" in PLATFORM_BOUND
    assert function("MA").is_platform_bound({"matype": MAMA_TYPE})
    assert not function("MA").is_platform_bound({"matype": 0})


@pytest.mark.parametrize("name", indicator_names())
def test_exactly_the_lookback_is_unknown_at_the_start(name: str) -> None:
    found = function(name)
    warmup = lookback(found, {})
    assert warmup < BARS
    for output in compute(found, series_for(found), {}):
        assert np.isnan(output[:warmup]).all()
        assert np.isfinite(output[warmup])


@pytest.mark.parametrize("name", indicator_names())
def test_the_values_of_a_beginning_are_those_of_the_whole(name: str) -> None:
    found = function(name)
    whole = compute(found, series_for(found), {})
    for bars in (1, lookback(found, {}) + 1, 97, 400):
        begun = compute(found, series_for(found, bars=bars), {})
        for long, short in zip(whole, begun, strict=True):
            assert short.tobytes() == long[:bars].tobytes()


@pytest.mark.parametrize("name", indicator_names())
def test_a_hole_leaves_nothing_of_itself_behind(name: str) -> None:
    found = function(name)
    series = series_for(found)
    hole = 250
    holed = [column.copy() for column in series]
    holed[-1][hole] = np.nan
    after = compute(found, [column[hole + 1 :].copy() for column in series], {})
    before = compute(found, [column[:hole].copy() for column in series], {})
    for output, first, last in zip(compute(found, holed, {}), before, after, strict=True):
        assert output[:hole].tobytes() == first.tobytes()
        assert np.isnan(output[hole])
        assert output[hole + 1 :].tobytes() == last.tobytes()


def faults_of(name: str, argument: str, value: float) -> list[tuple[str, str]]:
    on: dict[str, Any] = {"on": ["close", "close"]} if name == "MAVP" else {}
    document = {
        "spec": "strategy/1",
        "name": "ranges",
        "timeframe": "1d",
        "inputs": {"x": {"ta": name, "with": {argument: value}} | on},
        "long": {"entry": "close > open", "exit": "close < open"},
    }
    try:
        read_strategy(document)
    except InvalidInputError as error:
        return [(fault.path, fault.code) for fault in error.errors]
    return []


@pytest.mark.parametrize("name", indicator_names())
def test_arguments_outside_of_a_functions_ranges_are_refused_by_name(name: str) -> None:
    for argument in function(name).arguments.values():
        path = f"/inputs/x/with/{argument.name}"
        for outside in (argument.low - 1, argument.high + 1):
            if np.isfinite(outside) and abs(outside) < 1e30:
                assert faults_of(name, argument.name, outside) == [(path, "out_of_range")]
        assert faults_of(name, argument.name, argument.default) == []
