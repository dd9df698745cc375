"""The profile backtesting.py's cross: strictly below before, strictly above now."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any, cast

from core.trading.strategy.program import Op
from core.trading.strategy.rules import Strategy
from core.trading.strategy.tree import Binary, Cross, Lag


def with_strict_crosses(strategy: Strategy) -> Strategy:
    """Answer the strategy with crosses that two equal values on the bar before do not make."""
    return cast("Strategy", _rewritten(strategy))


def _rewritten(part: Any) -> Any:
    if isinstance(part, Cross):
        return _strict(part)
    if isinstance(part, tuple):
        return tuple(_rewritten(item) for item in part)
    if isinstance(part, Mapping):
        return {name: _rewritten(item) for name, item in part.items()}
    if not is_dataclass(part) or isinstance(part, type):
        return part
    old = {field.name: getattr(part, field.name) for field in fields(part) if field.init}
    new = {name: _rewritten(value) for name, value in old.items()}
    changed = {name: value for name, value in new.items() if value != old[name]}
    return replace(part, **changed) if changed else part


def _strict(cross: Cross) -> Binary:
    left, right = _rewritten(cross.left), _rewritten(cross.right)
    now, then = (Op.GT, Op.LT) if cross.above else (Op.LT, Op.GT)
    return Binary(Op.AND, Binary(now, left, right), Binary(then, Lag(left, 1), Lag(right, 1)))
