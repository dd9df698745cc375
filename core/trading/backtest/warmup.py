"""How many bars a strategy needs before its inputs say anything."""

from collections.abc import Mapping

from core.trading.indicators.computation import lookback
from core.trading.strategy.rules import InputRule, Quantity, Strategy
from core.trading.strategy.tree import Output, Parameter


def warmup_bars(strategy: Strategy, values: Mapping[str, float]) -> int:
    """Answer how many base bars at the start leave some input unknown.

    `values`: every parameter's value. A bar of a higher timeframe counts as the base bars that
    fill it; inputs over other inputs add up. Windows in expressions are not counted: what they
    read is unknown, and so false, until they are full.
    """
    needs = (input_warmup(rule, strategy, values) for rule in strategy.inputs.values())
    return max(needs, default=0)


def input_warmup(rule: InputRule, strategy: Strategy, values: Mapping[str, float]) -> int:
    """Answer the same of one input."""
    arguments = {name: _value(quantity, values) for name, quantity in rule.arguments.items()}
    own = lookback(rule.indicator, arguments)
    base_bars = rule.timeframe.microseconds // strategy.timeframe.microseconds
    before = (
        input_warmup(strategy.inputs[source.input], strategy, values)
        for source in rule.sources
        if isinstance(source, Output)
    )
    return own * max(1, base_bars) + max(before, default=0)


def _value(quantity: Quantity, values: Mapping[str, float]) -> float:
    return float(values[quantity.name]) if isinstance(quantity, Parameter) else quantity
