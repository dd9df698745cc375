"""Expressions parsed with Python's grammar into the typed tree; never evaluated as Python."""

import ast
from dataclasses import dataclass

from core.trading.strategy.findings import Findings
from core.trading.strategy.lexing import ALLOWED, Lexed, lex
from core.trading.strategy.meaning import Meaning
from core.trading.strategy.scope import Scope
from core.trading.strategy.tree import Typed

MAX_DEPTH = 60
MAX_DEPTH_WITH_LETS = 120


@dataclass(frozen=True, slots=True)
class Parsed:
    """An expression that Python's grammar accepts, not yet typed."""

    lexed: Lexed
    body: ast.expr

    def names(self) -> frozenset[str]:
        """Answer the plain names that stand in it, parameters left out."""
        return frozenset(
            node.id
            for node in ast.walk(self.body)
            if isinstance(node, ast.Name) and node.col_offset not in self.lexed.parameters
        )


def parse(text: str, path: str, findings: Findings) -> Parsed | None:
    """Parse an expression; None, with a fault noted, where the grammar refuses it."""
    lexed = lex(text, path, findings)
    if lexed is None:
        return None
    try:
        body = ast.parse(lexed.source, mode="eval").body
    except SyntaxError as error:
        # An expression that ends too early has offset 0: its fault is where it ends.
        at = (error.offset or len(lexed.source) + 1) - 1
        at = min(at + lexed.lead, len(text))
        findings.add(path, "syntax", f"Not an expression: {error.msg}.", ALLOWED, at)
        return None
    except (RecursionError, MemoryError, ValueError):
        _too_deep(path, findings, lexed.lead)
        return None
    return Parsed(lexed, body)


def type_expression(parsed: Parsed, path: str, scope: Scope, *, position: bool) -> Typed | None:
    """Give every part of an expression its meaning; None, with all its faults noted.

    `position`: whether names of the position may stand here.
    """
    if _depth_of(parsed.body) > MAX_DEPTH:
        _too_deep(path, scope.findings, parsed.lexed.lead)
        return None
    typed = Meaning(parsed.lexed, path, scope, position=position).typed(parsed.body)
    if typed is not None and typed.depth > MAX_DEPTH_WITH_LETS:
        _too_deep(path, scope.findings, parsed.lexed.lead)
        return None
    return typed


def _too_deep(path: str, findings: Findings, at: int) -> None:
    message = "The expression is nested too deeply."
    findings.add(path, "too_deep", message, "Split it into several lets, side by side.", at)


def _depth_of(body: ast.expr) -> int:
    depth, level = 0, [body]
    while level:
        depth += 1
        level = [
            child
            for node in level
            for child in ast.iter_child_nodes(node)
            if isinstance(child, ast.expr)
        ]
    return depth
