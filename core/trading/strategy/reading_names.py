"""Names that a document declares: what they may be, and which are taken."""

import keyword
from collections.abc import Mapping
from typing import Any

from core.trading.strategy import functions
from core.trading.strategy.findings import Findings, pointer
from core.trading.strategy.scope import POSITION_NAMES, PRICES
from core.trading.strategy.section import IDENTIFIER

MAX_NAMES = 200
RESERVED = frozenset(
    (*PRICES, *POSITION_NAMES, *functions.NAMES, *keyword.kwlist, "true", "false", "null")
)


def names_of(value: Any, path: str, findings: Findings, *, reserved: bool) -> Mapping[str, Any]:
    """Answer the entries of a mapping of names whose names can stand in expressions."""
    if not isinstance(value, Mapping):
        findings.add(path, "type", "A mapping of names is needed here.", "Write `name: …`.")
        return {}
    if len(value) > MAX_NAMES:
        findings.add(path, "too_long", f"{len(value)} names are more than {MAX_NAMES}.")
        return {}
    good: dict[str, Any] = {}
    for name, entry in value.items():
        if not isinstance(name, str) or not IDENTIFIER.fullmatch(name):
            hint = "Names are letters, digits and _, at most 64, and begin with no digit."
            findings.add(path + pointer(str(name)), "syntax", "This is no name.", hint)
        elif reserved and name in RESERVED:
            hint = "Choose another name."
            findings.add(path + pointer(name), "reserved_name", f"{name} has a meaning.", hint)
        else:
            good[name] = entry
    return good
