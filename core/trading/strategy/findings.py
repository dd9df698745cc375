"""Faults and warnings gathered while a document is read, so that all come at once."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from difflib import get_close_matches

from core.errors import Fault, InvalidInputError
from core.wording import counted


@dataclass(slots=True)
class Findings:
    """What was found so far, in the order of the document."""

    faults: list[Fault] = field(default_factory=list)
    warnings: list[Fault] = field(default_factory=list)

    def add(
        self, path: str, code: str, message: str, hint: str = "", at: int | None = None
    ) -> None:
        """Note something that makes the document invalid."""
        self.faults.append(Fault(path, code, message, hint, at))

    def warn(
        self, path: str, code: str, message: str, hint: str = "", at: int | None = None
    ) -> None:
        """Note something that is valid and yet likely to mislead."""
        self.warnings.append(Fault(path, code, message, hint, at))

    def raise_if_any(self) -> None:
        """Raise InvalidInputError with every fault noted, if there is one."""
        if self.faults:
            detail = f"The strategy has {counted(len(self.faults), 'fault')}."
            raise InvalidInputError(detail, errors=self.faults)


def suggestion(name: str, known: Iterable[str], otherwise: str = "") -> str:
    """Answer `Did you mean …?` where a known name is close, else what to do instead."""
    close = get_close_matches(name, list(known), n=1)
    return f"Did you mean {close[0]}?" if close else otherwise


def pointer(*keys: str | int) -> str:
    """Answer the JSON pointer (RFC 6901) made of these keys."""
    return "".join(f"/{str(key).replace('~', '~0').replace('/', '~1')}" for key in keys)
