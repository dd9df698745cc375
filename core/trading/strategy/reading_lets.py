"""The `let` of a document: named expressions, which may refer to one another."""

from collections.abc import Mapping
from typing import Any

from core.trading.strategy.findings import pointer
from core.trading.strategy.parsing import Parsed, parse, type_expression
from core.trading.strategy.reading_names import names_of
from core.trading.strategy.scope import Scope
from core.trading.strategy.section import exact, is_number


def read_lets(value: Any, scope: Scope) -> dict[str, str]:
    """Read `let` into the scope, in an order of dependence; answer its canonical form."""
    entries = names_of(value, "/let", scope.findings, reserved=True)
    parsed: dict[str, Parsed | None] = {}
    for name, entry in entries.items():
        parsed[name] = _let(name, entry, scope)
    declared = set(value) if isinstance(value, Mapping) else set()
    waiting = {name: expression for name, expression in parsed.items() if expression is not None}
    scope.lets.update(dict.fromkeys(declared - set(waiting)))
    while waiting:
        ready = {
            name: expression
            for name, expression in waiting.items()
            if not expression.names() & set(waiting)
        }
        if not ready:
            _refuse_circle(waiting, scope)
            break
        for name, expression in ready.items():
            path = pointer("let", name)
            scope.lets[name] = type_expression(expression, path, scope, position=True)
            del waiting[name]
    return {name: e.lexed.canonical for name, e in parsed.items() if e is not None}


def _let(name: str, entry: Any, scope: Scope) -> Parsed | None:
    path = pointer("let", name)
    if name in scope.inputs:
        message = f"{name} is the name of an input already."
        scope.findings.add(path, "reserved_name", message, "Choose another name.")
        return None
    if is_number(entry):
        entry = repr(exact(entry))
    if not isinstance(entry, str):
        scope.findings.add(path, "type", "An expression is a text.", "Put it in quotes.")
        return None
    return parse(entry, path, scope.findings)


def _refuse_circle(waiting: Mapping[str, Parsed], scope: Scope) -> None:
    """Refuse the lets that need one another; those that only need them stand without a fault."""
    circle = set(waiting)
    while (needed := circle & set().union(*(waiting[name].names() for name in circle))) != circle:
        circle = needed
    scope.lets.update(dict.fromkeys(waiting))
    for name in sorted(circle):
        message = f"It refers to itself by way of {', '.join(sorted(circle))}."
        scope.findings.add(pointer("let", name), "not_allowed", message, "Break the circle.")
