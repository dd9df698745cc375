from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from core.errors import InvalidInputError
from core.trading.strategy.loading import parse_document
from core.trading.strategy.reading import read_strategy
from core.trading.strategy.schema import json_schema

EXAMPLES = sorted(Path("docs/examples").glob("*.yaml"))
EVERY_KEY: dict[str, Any] = {
    "spec": "strategy/1",
    "name": "every key",
    "description": "all of it",
    "universe": {"symbols": ["EURUSD"], "max_positions": 1},
    "timeframe": "1h",
    "params": {
        "n": {"type": "int", "default": 12, "min": 5, "max": 30, "step": 1},
        "x": {"type": "number", "default": 2, "values": [1, 2, 3]},
    },
    "inputs": {
        "fast": {"ta": "EMA", "with": {"timeperiod": "$n"}, "on": "hlc3", "symbol": "EURUSD"},
        "bands": {"ta": "BBANDS", "timeframe": "1d"},
        "atr": {"ta": "ATR"},
    },
    "let": {"up": "close > fast", "level": 1.5},
    "long": {"entry": "up and close > bands.middleband", "exit": "not up"},
    "short": {"entry": "close < bands.lowerband"},
    "sizing": {"method": "risk", "percent": "$x", "max_leverage": 3},
    "risk": {
        "stop": {"atr": {"of": "atr", "times": "$x"}},
        "target": {"r": 3},
        "trail": {"price": "lowest(low, 20)", "after_r": 1},
        "max_bars": 240,
        "cooldown_bars": 0,
        "daily_loss_halt": {"percent": 2},
        "portfolio_drawdown_halt": {"percent": 20},
    },
    "orders": {
        "entry": {"limit": "close * 0.998", "valid_bars": 3},
        "fill": "next_open",
        "on_ambiguous_bar": "path",
        "limit_through": True,
    },
    "session": {
        "timezone": "America/New_York",
        "days": ["mon", "fri"],
        "from": "03:00",
        "to": "24:00",
        "flat_at_close": True,
    },
}


def faults(document: dict[str, Any]) -> list[str]:
    found = Draft202012Validator(json_schema()).iter_errors(document)
    return ["/" + "/".join(map(str, error.absolute_path)) for error in found]


def refused(document: dict[str, Any]) -> bool:
    try:
        read_strategy(document)
    except InvalidInputError:
        return True
    return False


def places(node: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Answer where the document has values, and where a key could be added."""
    found = [path] if path else []
    if isinstance(node, dict):
        for key, value in node.items():
            found += places(value, (*path, key))
    return found


def planted(path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    document = deepcopy(EVERY_KEY)
    node = document
    for key in path[:-1]:
        node = node[key]
    node[path[-1]] = value
    return document


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(json_schema())


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_the_examples_are_sound_for_reader_and_schema(path: Path) -> None:
    document = parse_document(path.read_bytes())
    assert faults(document) == []
    assert read_strategy(document).spec_hash


def test_a_document_with_every_key_is_sound_for_reader_and_schema() -> None:
    assert not refused(EVERY_KEY)
    assert faults(EVERY_KEY) == []


@pytest.mark.parametrize("wrong", [[], {"no_such_key": 1}, "$nope!", -1e300, True, None], ids=str)
@pytest.mark.parametrize("path", places(EVERY_KEY), ids=lambda path: "/".join(map(str, path)))
def test_what_the_schema_refuses_the_reader_refuses_too(path: tuple[Any, ...], wrong: Any) -> None:
    document = planted(path, wrong)
    if faults(document):
        assert refused(document)


def test_the_schema_finds_a_wrong_kind_at_most_places() -> None:
    """Or the law above would hold for a schema that says nothing."""
    found = [path for path in places(EVERY_KEY) if faults(planted(path, [[]]))]
    assert len(found) == len(places(EVERY_KEY))


def test_a_key_that_nobody_knows_is_refused_everywhere() -> None:
    mappings = [path for path in places(EVERY_KEY) if isinstance(node_at(path), dict)]
    named = {("params",), ("inputs",), ("let",), ("inputs", "fast", "with")}
    for path in [*mappings, ()]:
        if path not in named:
            document = planted((*path, "surprise"), 1)
            assert faults(document), path
            assert refused(document), path


def node_at(path: tuple[Any, ...]) -> Any:
    node: Any = EVERY_KEY
    for key in path:
        node = node[key]
    return node
