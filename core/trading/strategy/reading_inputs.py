"""The `inputs` of a document: indicators, their arguments and the series they read."""

from collections.abc import Mapping
from typing import Any

from core.trading.bars.timeframes import LABELS, Timeframe
from core.trading.indicators.catalogue import (
    ANCHORED,
    Argument,
    Indicator,
    indicator,
    indicator_names,
)
from core.trading.strategy.findings import Findings, pointer, suggestion
from core.trading.strategy.reading_names import names_of
from core.trading.strategy.rules import InputRule, Quantity, Source
from core.trading.strategy.scope import (
    PRICES,
    Bounds,
    KnownInput,
    Scope,
)
from core.trading.strategy.section import Section
from core.trading.strategy.tree import Output, Parameter, Price

MAX_CHAIN = 20


def read_inputs(
    value: Any, scope: Scope, base: Timeframe | None, symbols: tuple[str, ...]
) -> tuple[dict[str, InputRule], dict[str, Any]]:
    """Read `inputs` into the scope; answer the sound ones and their canonical form.

    `base`: the strategy's timeframe, None where it is at fault.
    """
    entries = names_of(value, "/inputs", scope.findings, reserved=True)
    sections = {
        name: Section(
            entry, pointer("inputs", name), scope, ("ta", "with", "on", "symbol", "timeframe")
        )
        for name, entry in entries.items()
    }
    if isinstance(value, Mapping):
        scope.inputs.update(dict.fromkeys(name for name in value if isinstance(name, str)))
    functions_of = {name: _function(section) for name, section in sections.items()}
    scope.inputs.update(
        {
            name: KnownInput(function.outputs, function.whole)
            for name, function in functions_of.items()
            if function is not None
        }
    )
    rules: dict[str, InputRule] = {}
    for name, section in sections.items():
        rule = _input(section, functions_of[name], base, symbols)
        if rule is not None:
            rules[name] = rule
    _refuse_circles(rules, scope.findings)
    return rules, {name: section.canonical for name, section in sections.items()}


def _function(section: Section) -> Indicator | None:
    if not section.require("ta", "Name a function of TA-Lib, `ta: EMA`."):
        return None
    name = section.values["ta"]
    if not isinstance(name, str):
        section.fault("ta", "type", "ta must be the name of an indicator.", "Write `ta: EMA`.")
        return None
    found = indicator(name)
    if found is None:
        hint = suggestion(name.upper(), indicator_names(), "See the catalogue of TA-Lib.")
        section.fault("ta", "unknown_indicator", f"TA-Lib has no {name[:40]}.", hint)
        return None
    section.canonical["ta"] = name
    return found


def _input(
    section: Section,
    function: Indicator | None,
    base: Timeframe | None,
    symbols: tuple[str, ...],
) -> InputRule | None:
    _symbol(section, symbols)
    timeframe = _timeframe(section, base)
    if function is None:
        return None
    arguments = _arguments(section, function)
    sources = _sources(section, function)
    _warn(section, function, arguments)
    if sources is None or timeframe is None:
        return None
    return InputRule(function, arguments, sources, timeframe)


def _symbol(section: Section, symbols: tuple[str, ...]) -> None:
    if not section.has("symbol"):
        return
    symbol = section.values["symbol"]
    if not isinstance(symbol, str):
        section.fault("symbol", "type", "symbol must be a text.", "Put it in quotes.")
    elif symbols and symbol not in symbols:
        message = f"The universe has no {symbol[:40]}."
        section.fault("symbol", "unknown_symbol", message, "Add it to /universe/symbols.")
    elif symbols != (symbol,):
        message = "Series of another symbol are not supported yet."
        section.fault("symbol", "not_supported_yet", message, "Leave symbol out.")


def _timeframe(section: Section, base: Timeframe | None) -> Timeframe | None:
    if not section.has("timeframe"):
        if base is not None:
            section.canonical["timeframe"] = base.label
        return base
    label = section.values["timeframe"]
    found = Timeframe.named(label) if isinstance(label, str) else None
    if found is None:
        hint = f"Use one of {', '.join(LABELS)}."
        section.fault("timeframe", "bad_timeframe", "There is no such timeframe.", hint)
        return None
    if base is not None and found.microseconds < base.microseconds:
        message = f"{found.label} is finer than the strategy's {base.label}."
        hint = f"Use {base.label} or a longer one."
        section.fault("timeframe", "finer_than_base", message, hint)
        return None
    section.canonical["timeframe"] = found.label
    return found


def _arguments(section: Section, function: Indicator) -> dict[str, Quantity]:
    given = section.section("with", tuple(function.arguments), unknown="unknown_argument")
    arguments: dict[str, Quantity] = {}
    for name, argument in function.arguments.items():
        found = given.quantity(name, _bounds(argument), argument.default)
        arguments[name] = argument.default if found is None else found
    section.canonical["with"] = given.canonical
    return arguments


def _bounds(argument: Argument) -> Bounds:
    choices = tuple(float(value) for value, _ in argument.choices)
    return Bounds(argument.low, argument.high, whole=argument.whole, choices=choices)


def _warn(section: Section, function: Indicator, arguments: Mapping[str, Quantity]) -> None:
    path = section.at("ta")
    if function.name in ANCHORED:
        message = f"{function.name} depends on the first bar of the data for ever."
        hint = "Compare it with its own past, not with a number."
        section.findings.warn(path, "anchored_indicator", message, hint)
    elif any(function.is_unstable(values) for values in _variants(section, arguments)):
        message = f"{function.name} still remembers the bars before its warm-up."
        hint = "Begin the run some hundred bars after the data."
        section.findings.warn(path, "unstable_warmup", message, hint)


def _variants(section: Section, arguments: Mapping[str, Quantity]) -> list[dict[str, float]]:
    """Answer the arguments with every number that an MA type given by a parameter may be."""
    fixed = {k: v for k, v in arguments.items() if not isinstance(v, Parameter)}
    variants = [fixed]
    for name, value in arguments.items():
        rule = section.scope.parameters.get(value.name) if isinstance(value, Parameter) else None
        if rule is not None and name.endswith("matype"):
            low, high = min(rule.extremes()), max(rule.extremes())
            choices = rule.values or range(int(low), int(high) + 1)
            variants += [{**fixed, name: float(choice)} for choice in choices]
    return variants


def platform_bound_inputs(rules: Mapping[str, InputRule], scope: Scope) -> tuple[str, ...]:
    """Answer the inputs whose bits depend on the CPU for some value of the parameters."""
    section = Section({}, "", scope, ())
    return tuple(
        name
        for name, rule in rules.items()
        if any(
            rule.indicator.is_platform_bound(values)
            for values in _variants(section, rule.arguments)
        )
    )


def _sources(section: Section, function: Indicator) -> tuple[Source, ...] | None:
    defaults = function.sources
    listed = section.values.get("on", [])
    listed = [listed] if isinstance(listed, str) else listed
    if not isinstance(listed, list) or not all(isinstance(name, str) for name in listed):
        section.fault("on", "type", "on must be the name of a series.", "Write `on: high`.")
        return None
    if len(listed) > function.selectable:
        message = f"{function.name} lets {function.selectable} of its series be chosen."
        code = "not_allowed" if function.selectable == 0 else "arity"
        section.fault("on", code, message, f"It reads {', '.join(defaults)}.")
        return None
    names = [*listed, *defaults[len(listed) :]]
    if "periods" in names[len(listed) :]:
        message = "MAVP needs a series of periods."
        section.fault("on", "required", message, "Write `on: [close, other_input]`.")
        return None
    sources = [_source(section, name) for name in names]
    section.canonical["on"] = names
    found = tuple(source for source in sources if source is not None)
    return found if len(found) == len(sources) else None


def _source(section: Section, name: str) -> Source | None:
    if name in PRICES:
        return Price(name)
    owner, _, output = name.partition(".")
    inputs = section.scope.inputs
    if owner not in inputs:
        hint = suggestion(owner, [*PRICES, *inputs], f"Use one of {', '.join(PRICES)}.")
        section.fault("on", "unknown_name", f"There is no series {name[:40]}.", hint)
        return None
    known = inputs[owner]
    if known is None:
        return None
    choices = ", ".join(f"{owner}.{choice}" for choice in known.outputs)
    if not output and len(known.outputs) > 1:
        section.fault("on", "needs_output", f"{owner} has several outputs.", f"Use {choices}.")
        return None
    if output and output not in known.outputs:
        section.fault("on", "unknown_output", f"There is no {name[:40]}.", f"Use {choices}.")
        return None
    return Output(owner, known.outputs.index(output) if output else 0)


def _refuse_circles(rules: Mapping[str, InputRule], findings: Findings) -> None:
    """Refuse inputs on inputs that never reach a price, or only after a long chain."""
    settled: set[str] = set()
    for _ in range(MAX_CHAIN):
        settled |= {
            name
            for name, rule in rules.items()
            if all(s.input in settled or s.input not in rules for s in _outputs(rule))
        }
    for name, rule in rules.items():
        path = pointer("inputs", name, "on")
        if name not in settled:
            message = f"{name} is made from itself, or by a chain of more than {MAX_CHAIN}."
            findings.add(path, "not_allowed", message, "Let it read a price.")
        elif any(
            rules[s.input].timeframe is not rule.timeframe
            for s in _outputs(rule)
            if s.input in rules
        ):
            hint = "Give both the same timeframe."
            message = "The series that it reads has another timeframe."
            findings.add(path, "bad_timeframe", message, hint)


def _outputs(rule: InputRule) -> list[Output]:
    return [source for source in rule.sources if isinstance(source, Output)]
