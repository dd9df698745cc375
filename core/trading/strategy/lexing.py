"""Expressions cut into tokens before Python's parser sees them.

`$name` becomes a name of the same length, so that every offset stays that of the text, and what
only Python knows (hexadecimal numbers, bytes, comments, line joining, letters that it folds
into others) is refused here.
"""

import re
from dataclasses import dataclass

from core.trading.strategy.findings import Findings
from core.wording import in_full

MAX_LENGTH = 500
MAX_BRACKETS = 50
MAX_NUMBER = 1e15
ALLOWED = "Use names, numbers, + - * /, comparisons, and, or, not, x[k] and the functions."

_TOKEN = re.compile(
    r"""(?P<space>[ \t\r\n]+)
    |(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)
    |(?P<parameter>\$[A-Za-z_][A-Za-z0-9_]*)
    |(?P<name>[A-Za-z_][A-Za-z0-9_]*)
    |(?P<text>"[^"\\\n]*"|'[^'\\\n]*')
    |(?P<sign><=|>=|==|!=|\*\*|//|:=|->|<<|>>|[-+*/%@&|^~<>=()\[\]{},.:;])""",
    re.VERBOSE | re.ASCII,
)
_GLUED = frozenset({"number", "parameter", "name", "text"})
_BROKEN_OFF = frozenset({"number", "text"})


@dataclass(frozen=True, slots=True)
class Lexed:
    """An expression ready for Python's parser.

    `source`: of the text's length, without leading space. `lead`: how much of it there was.
    `parameters`: offsets in `source` at which a name is a parameter. `canonical`: the text with
    one space between tokens and numbers in their shortest form.
    """

    source: str
    lead: int
    parameters: frozenset[int]
    canonical: str


def lex(text: str, path: str, findings: Findings) -> Lexed | None:
    """Cut an expression into tokens; None, with a fault noted, where that cannot be done."""
    if len(text) > MAX_LENGTH:
        message = f"The expression has {len(text)} characters; {MAX_LENGTH} are the most."
        findings.add(path, "too_long", message, "Name its parts under `let`.", MAX_LENGTH)
        return None
    tokens = _tokens(text, path, findings)
    if tokens is None or not _is_flat_enough(tokens, path, findings):
        return None
    lead = tokens[0].start() if tokens else 0
    marks = [token.start() for token in tokens if token.lastgroup == "parameter"]
    letters = [" " if letter in "\t\r\n" else letter for letter in text]
    for mark in marks:
        letters[mark] = "_"
    return Lexed(
        source="".join(letters[lead:]),
        lead=lead,
        parameters=frozenset(mark - lead for mark in marks),
        canonical=" ".join(_canonical(token) for token in tokens),
    )


def shortest(value: float) -> str:
    """Answer a number's shortest text: whole ones without a point."""
    return str(int(value)) if value == int(value) else repr(value)


def _tokens(text: str, path: str, findings: Findings) -> list[re.Match[str]] | None:
    """Cut the text; None, with a fault noted, at what is no token. Space is left out."""
    tokens: list[re.Match[str]] = []
    at, before = 0, ""
    while at < len(text):
        token = _TOKEN.match(text, at)
        kind = (token and token.lastgroup) or ""
        glued = kind in _GLUED and (before in _BROKEN_OFF or (before in _GLUED and kind != "name"))
        if token is None or glued:
            message = f"This cannot be read from {text[at : at + 10]!r} on."
            hint = "Use plain letters, decimal numbers and $parameters, with spaces between them."
            findings.add(path, "syntax", message, hint, at)
            return None
        if kind == "number" and not float(token.group()) <= MAX_NUMBER:
            message = f"{token.group()[:20]} is larger than {in_full(MAX_NUMBER)}."
            findings.add(path, "out_of_range", message, "Use a smaller number.", at)
            return None
        if kind != "space":
            tokens.append(token)
        before, at = kind, token.end()
    if not tokens:
        findings.add(path, "syntax", "The expression is empty.", "Write a condition.", 0)
        return None
    return tokens


def _is_flat_enough(tokens: list[re.Match[str]], path: str, findings: Findings) -> bool:
    depth = 0
    for token in tokens:
        depth += (token.group() in "([{") - (token.group() in ")]}")
        if depth > MAX_BRACKETS:
            message = f"More than {MAX_BRACKETS} brackets stand inside one another."
            findings.add(path, "too_deep", message, "Name its parts under `let`.", token.start())
            return False
    return True


def _canonical(token: re.Match[str]) -> str:
    if token.lastgroup == "number":
        return shortest(float(token.group()))
    if token.lastgroup == "text":
        return f'"{token.group()[1:-1]}"'
    return token.group()
