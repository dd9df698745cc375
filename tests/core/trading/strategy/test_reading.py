"""Every code with which a document is refused or warned of, and where the fault is said to be."""

import ast
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from core.errors import Fault, InvalidInputError
from core.trading.strategy.loading import parse_document
from core.trading.strategy.parameters import resolve_params
from core.trading.strategy.reading import read_strategy

CORE = Path(__file__).resolve().parents[4] / "core/trading"
CODES = {
    *("unknown_key", "required", "unsupported_spec", "bad_timeframe", "finer_than_base"),
    *("unknown_indicator", "unknown_argument", "unknown_param", "unknown_name", "unknown_output"),
    *("unknown_function", "unknown_symbol", "needs_output", "type", "arity", "out_of_range"),
    *("bad_range", "bad_lag", "bad_window", "looks_ahead", "one_of", "needs_stop", "no_entry"),
    *("no_exit", "not_allowed", "reserved_name", "syntax", "too_long", "too_deep"),
    "not_supported_yet",
}
WARNINGS = {
    "unused_param",
    "float_equality",
    "anchored_indicator",
    "unstable_warmup",
    "optimistic_fill",
}

SOUND: dict[str, Any] = {
    "spec": "strategy/1",
    "name": "sound",
    "timeframe": "1h",
    "params": {"n": {"type": "int", "default": 10, "min": 2, "max": 30}},
    "inputs": {
        "fast": {"ta": "SMA", "with": {"timeperiod": "$n"}},
        "bands": {"ta": "BBANDS"},
    },
    "let": {"up": "close > fast"},
    "long": {"entry": "up", "exit": "not up"},
    "sizing": {"method": "percent"},
    "risk": {},
    "orders": {},
    "session": {},
    "universe": {"symbols": ["EURUSD"]},
}
GONE = object()


def changed(**changes: Any) -> dict[str, Any]:
    """Answer the sound document with values at paths, `long__entry="…"`; GONE takes one out."""
    document = deepcopy(SOUND)
    for path, value in changes.items():
        *parents, last = path.split("__")
        place = document
        for key in parents:
            place = place.setdefault(key, {})
        if value is GONE:
            del place[last]
        else:
            place[last] = value
    return document


def faults_of(document: Any) -> list[Fault]:
    with pytest.raises(InvalidInputError) as raised:
        read_strategy(parse_document(document) if isinstance(document, str) else document)
    return list(raised.value.errors)


DEEP = "(" * 51 + "close" + ")" * 51 + " > 0"
TALL = "not " * 61 + "up"

CASES = [
    ({"lonng": {"entry": "up"}}, "/lonng", "unknown_key"),
    ({"long__entri": "up"}, "/long/entri", "unknown_key"),
    ({"params__n__maximum": 3}, "/params/n/maximum", "unknown_key"),
    ({"inputs__fast__period": 3}, "/inputs/fast/period", "unknown_key"),
    ({"sizing__amount": 3}, "/sizing/amount", "unknown_key"),
    ({"risk__stopp": {"percent": 1}}, "/risk/stopp", "unknown_key"),
    ({"risk__stop": {"per cent": 1, "percent": 1}}, "/risk/stop/per cent", "unknown_key"),
    ({"risk__stop": {"atr": {"of": "fast", "x": 1}}}, "/risk/stop/atr/x", "unknown_key"),
    ({"risk__daily_loss_halt": {"percent": 2, "r": 1}}, "/risk/daily_loss_halt/r", "unknown_key"),
    ({"orders__slippage": 1}, "/orders/slippage", "unknown_key"),
    ({"orders__entry": {"limit": "close", "for": 2}}, "/orders/entry/for", "unknown_key"),
    ({"session__tz": "UTC"}, "/session/tz", "unknown_key"),
    ({"universe__names": ["X"]}, "/universe/names", "unknown_key"),
    ({"rank": {"by": "fast", "top": 2}}, "/rank/top", "unknown_key"),
    ({"spec": GONE}, "/spec", "required"),
    ({"name": GONE}, "/name", "required"),
    ({"timeframe": GONE}, "/timeframe", "required"),
    ({"params__n": {"type": "int"}}, "/params/n/default", "required"),
    ({"inputs__fast__ta": GONE}, "/inputs/fast/ta", "required"),
    ({"sizing": {"method": "fixed"}}, "/sizing/units", "required"),
    ({"risk__stop": {"atr": {"times": 2}}}, "/risk/stop/atr/of", "required"),
    ({"risk__portfolio_drawdown_halt": {}}, "/risk/portfolio_drawdown_halt/percent", "required"),
    ({"spec": "strategy/2"}, "/spec", "unsupported_spec"),
    ({"timeframe": "2h"}, "/timeframe", "bad_timeframe"),
    ({"inputs__fast__timeframe": "1y"}, "/inputs/fast/timeframe", "bad_timeframe"),
    ({"inputs__fast__timeframe": "5m"}, "/inputs/fast/timeframe", "finer_than_base"),
    ({"inputs__fast__ta": "SMMA"}, "/inputs/fast/ta", "unknown_indicator"),
    ({"inputs__fast__with": {"period": 3}}, "/inputs/fast/with/period", "unknown_argument"),
    ({"inputs__fast__with": {"timeperiod": "$m"}}, "/inputs/fast/with/timeperiod", "unknown_param"),
    ({"inputs__fast__symbol": "USDJPY"}, "/inputs/fast/symbol", "unknown_symbol"),
    ({"inputs__fast__on": "bands"}, "/inputs/fast/on", "needs_output"),
    ({"inputs__fast__on": ["high", "low"]}, "/inputs/fast/on", "arity"),
    ({"params__n__max": 200_000}, "/inputs/fast/with/timeperiod", "out_of_range"),
    ({"params__n__default": 31}, "/params/n/default", "out_of_range"),
    ({"sizing__percent": 0}, "/sizing/percent", "out_of_range"),
    ({"params__n__min": 40}, "/params/n/min", "bad_range"),
    ({"session__from": "25:00"}, "/session/from", "bad_range"),
    ({"session__to": "00:00"}, "/session/to", "bad_range"),
    ({"risk__stop": {"percent": 1, "price": "low"}}, "/risk/stop", "one_of"),
    ({"orders__entry": {"limit": "low", "stop": "high"}}, "/orders/entry", "one_of"),
    ({"orders__fill": "at_once"}, "/orders/fill", "one_of"),
    ({"session__days": ["mon", "fry"]}, "/session/days/1", "one_of"),
    ({"session__timezone": "Mars/Base"}, "/session/timezone", "one_of"),
    ({"params__n__values": [3, 10]}, "/params/n", "one_of"),
    ({"sizing": {"method": "risk", "percent": 1}}, "/sizing/method", "needs_stop"),
    ({"risk__target": {"r": 2}}, "/risk/target/r", "needs_stop"),
    ({"risk__trail": {"percent": 2, "after_r": 1}}, "/risk/trail/after_r", "needs_stop"),
    ({"long": {"exit": "up"}}, "/long", "no_entry"),
    ({"long": GONE}, "", "no_entry"),
    ({"long__exit": GONE}, "/long", "no_exit"),
    ({"sizing": {"method": "equal_weight", "units": 1}}, "/sizing/units", "not_allowed"),
    ({"risk__stop": {"r": 1}}, "/risk/stop/r", "not_allowed"),
    ({"risk__stop": {"price": "entry_price"}}, "/risk/stop/price", "not_allowed"),
    ({"orders__valid_bars": 3}, "/orders/valid_bars", "not_allowed"),
    ({"inputs__fast__on": "fast"}, "/inputs/fast/on", "not_allowed"),
    ({"let__up": "down", "let__down": "up"}, "/let/up", "not_allowed"),
    ({"let__close": "open"}, "/let/close", "reserved_name"),
    ({"let__fast": "close > 1"}, "/let/fast", "reserved_name"),
    ({"inputs__mean": {"ta": "SMA"}}, "/inputs/mean", "reserved_name"),
    ({"let__2up": "close > 1"}, "/let/2up", "syntax"),
    ({"name": "x" * 201}, "/name", "too_long"),
    ({"long__entry": "close > 0 " + " " * 500}, "/long/entry", "too_long"),
    ({"long__entry": DEEP}, "/long/entry", "too_deep"),
    ({"long__entry": TALL}, "/long/entry", "too_deep"),
    ({"name": 3}, "/name", "type"),
    ({"long": "up"}, "/long", "type"),
    ({"long__entry": True}, "/long/entry", "type"),
    ({"session__days": "mon"}, "/session/days", "type"),
    ({"session__flat_at_close": "yes"}, "/session/flat_at_close", "type"),
    ({"risk__max_bars": 2.5}, "/risk/max_bars", "type"),
    ({"universe__symbols": ["EURUSD", "USDJPY"]}, "/universe/symbols", "not_supported_yet"),
    ({"universe__max_positions": 2}, "/universe/max_positions", "not_supported_yet"),
    (
        {"universe": {}, "inputs__fast__symbol": "GBPUSD"},
        "/inputs/fast/symbol",
        "not_supported_yet",
    ),
    ({"long": GONE, "rank": {"by": "fast", "take": 1}}, "/rank", "not_supported_yet"),
    ({"rank": {"by": "fast"}}, "/rank", "one_of"),
]

EXPRESSIONS = [
    ("close > slow", "unknown_name", 8),
    ("bands > close", "needs_output", 0),
    ("close > bands.middle", "unknown_output", 8),
    ("close > average(close, 3)", "unknown_function", 8),
    ("close > mean(close)", "arity", 8),
    ("close[$k] > 1", "unknown_param", 6),
    ("close[1.5] > 1", "bad_lag", 6),
    ("close[10001] > 1", "bad_lag", 6),
    ("mean(close, 0) > 1", "bad_window", 12),
    ("std(close, 1) > 1", "bad_window", 11),
    ("close[-1] > 1", "looks_ahead", 6),
    ("change(close, -1) > 1", "looks_ahead", 14),
    ("close", "type", 0),
    ("close and up", "type", 0),
    ("abs(up) > 1", "type", 4),
    ("mean > 1", "type", 0),
    ("session(9) and up", "type", 8),
    ('session("9-16")', "bad_range", 8),
    ("close > 1e16", "out_of_range", 8),
    ("__import__('os') == 1", "unknown_function", 0),
    ("close.__class__ == 1", "not_allowed", 0),
    ("close > 9**9**9", "not_allowed", 9),
    ("close % 2 == 0", "not_allowed", 6),
    ("close > (lambda: 1)", "not_allowed", 9),
    ("mean(x=close, n=3) > 1", "not_allowed", 0),
    ("close if up else open", "not_allowed", 0),
    ("close >", "syntax", 7),
    ("close > 0x10", "syntax", 9),
    ("", "syntax", 0),
    ("up or ünder", "syntax", 6),
]


@pytest.mark.parametrize(("changes", "path", "code"), CASES)
def test_a_fault_of_the_document_is_told_with_its_place(
    changes: dict[str, Any], path: str, code: str
) -> None:
    found = faults_of(changed(**changes))
    assert (path, code) in [(fault.path, fault.code) for fault in found]
    assert all(fault.message and not fault.message.startswith(" ") for fault in found)


@pytest.mark.parametrize(("text", "code", "at"), EXPRESSIONS)
def test_a_fault_of_an_expression_is_told_with_its_offset(text: str, code: str, at: int) -> None:
    (fault,) = faults_of(changed(long__entry=text))
    assert (fault.path, fault.code, fault.at) == ("/long/entry", code, at)


def test_every_code_of_the_language_is_provoked_here() -> None:
    provoked = {case[2] for case in CASES} | {code for _, code, _ in EXPRESSIONS}
    assert provoked == CODES


def codes_named_in(source: str) -> set[str]:
    """Answer the constants that stand where a fault's code does: second, or by keyword."""
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    named = {"fault", "add", "warn", "_refuse", "Fault"}
    places = [
        call.args[1]
        for call in calls
        if {getattr(call.func, "id", ""), getattr(call.func, "attr", "")} & named
        and len(call.args) > 1
    ]
    places += [word.value for call in calls for word in call.keywords if word.arg == "code"]
    return {place.value for place in places if isinstance(place, ast.Constant)}


def test_no_code_is_raised_that_this_table_does_not_know() -> None:
    sources = (CORE / "strategy").glob("*.py")
    raised = set().union(*(codes_named_in(path.read_text("utf-8")) for path in sources))
    assert len(raised) > 25
    assert raised <= CODES | WARNINGS, "give the new code a case above"


def test_all_faults_come_at_once() -> None:
    document = changed(
        spec="strategy/9",
        timeframe="2h",
        inputs__fast__ta="SMMA",
        long__entry="close > slow and close[-1] > mean(close)",
        risk__stop={"percent": -1},
        surprise=1,
    )
    found = {(fault.path, fault.code) for fault in faults_of(document)}
    assert found == {
        ("/surprise", "unknown_key"),
        ("/spec", "unsupported_spec"),
        ("/timeframe", "bad_timeframe"),
        ("/inputs/fast/ta", "unknown_indicator"),
        ("/risk/stop/percent", "out_of_range"),
        ("/long/entry", "unknown_name"),
        ("/long/entry", "looks_ahead"),
        ("/long/entry", "arity"),
    }


def test_a_fault_is_published_with_path_code_message_hint_and_offset() -> None:
    (fault,) = faults_of(changed(long__entry="close > fats"))
    assert fault.as_document() == {
        "path": "/long/entry",
        "code": "unknown_name",
        "message": "There is nothing named fats.",
        "hint": "Did you mean fast?",
        "at": 8,
    }


@pytest.mark.parametrize(
    ("changes", "path", "code"),
    [
        ({"params__m": {"type": "int", "default": 1}}, "/params/m", "unused_param"),
        ({"long__entry": "close == open"}, "/long/entry", "float_equality"),
        ({"inputs__v": {"ta": "OBV"}}, "/inputs/v/ta", "anchored_indicator"),
        ({"inputs__v": {"ta": "EMA"}}, "/inputs/v/ta", "unstable_warmup"),
        ({"orders__fill": "this_close"}, "/orders/fill", "optimistic_fill"),
        ({"orders__on_ambiguous_bar": "best"}, "/orders/on_ambiguous_bar", "optimistic_fill"),
    ],
)
def test_what_is_likely_to_mislead_is_a_warning(
    changes: dict[str, Any], path: str, code: str
) -> None:
    assert read_strategy(SOUND).warnings == ()
    (warning,) = read_strategy(changed(**changes)).warnings
    assert (warning.path, warning.code) == (path, code)
    assert code in WARNINGS
    assert warning.hint


@pytest.mark.parametrize(
    ("text", "path", "code"),
    [
        ("spec: strategy/1\nspec: strategy/1", "/spec", "syntax"),
        ("long: &a {entry: up}\nshort: *a", "/long", "not_allowed"),
        ("name: !!str x", "/name", "not_allowed"),
        ("%YAML 1.1\n---\nname: x", "", "not_allowed"),
        ("- spec", "", "type"),
        ("name: .nan", "/name", "type"),
        ("a: " + "[" * 30 + "]" * 30, "/a" + "/0" * 20, "too_deep"),
        ("name: " + "x" * 70_000, "", "too_long"),
        ("name: [", "", "syntax"),
        ("", "", "syntax"),
        ('{"name": "x", "name": "y"}', "/name", "syntax"),
    ],
)
def test_a_text_that_is_no_plain_document_is_refused(text: str, path: str, code: str) -> None:
    (fault,) = faults_of(text)
    assert (fault.path, fault.code) == (path, code)


def test_yaml_reads_on_as_a_name_and_a_time_as_a_text() -> None:
    document = parse_document("on: close\nto: 16:00\nfrom: '03:00'")
    assert document == {"on": "close", "to": "16:00", "from": "03:00"}


@pytest.mark.parametrize(
    ("given", "path", "code"),
    [
        ({"m": 3}, "/params/m", "unknown_param"),
        ({"n": 2.5}, "/params/n", "type"),
        ({"n": "ten"}, "/params/n", "type"),
        ({"n": 31}, "/params/n", "out_of_range"),
    ],
)
def test_a_parameter_that_does_not_fit_is_refused(
    given: dict[str, Any], path: str, code: str
) -> None:
    with pytest.raises(InvalidInputError) as raised:
        resolve_params(read_strategy(SOUND), given)
    assert [(fault.path, fault.code) for fault in raised.value.errors] == [(path, code)]
