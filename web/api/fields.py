"""Schemas that several nouns share; every schema refuses what it does not know."""

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any, ClassVar

from marshmallow import RAISE, Schema, ValidationError, fields, validate

from core.errors import Fault
from core.tenancy.pages import LONGEST_PAGE, Page

# Normalising a longer one would take long enough for others to notice.
_LONGEST_PASSWORD = 1_000
_LONGEST_CURSOR = 200
# As many as an address can have; int() takes no more than 4,300.
_DIGITS = re.compile(r"-?[0-9]{1,4094}")


class Strict(Schema):
    """A schema that names an unknown key instead of ignoring it."""

    class Meta:
        """marshmallow's options."""

        unknown = RAISE


class PasswordText(fields.String):
    """A password that comes in; the rules for a new one are core's."""

    def __init__(self) -> None:
        bound = validate.Length(max=_LONGEST_PASSWORD)
        super().__init__(required=True, load_only=True, validate=bound)


class Number(fields.Float):
    """A number of JSON: no text that spells one."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> float:
        if isinstance(value, str):
            raise self.make_error("invalid", input=value)
        return super()._deserialize(value, *args, **kwargs)


class Flag(fields.Boolean):
    """true or false of JSON, and nothing that resembles them."""

    def _deserialize(self, value: Any, *_args: Any, **_kwargs: Any) -> bool:
        if not isinstance(value, bool):
            raise self.make_error("invalid", input=value)
        return value


class WholeNumber(fields.Integer):
    """Digits of a query, in a range: neither `1.5` nor `1_0`."""

    def __init__(self, low: int, high: int, **more: Any) -> None:
        # What OpenAPI shows.
        super().__init__(validate=validate.Range(low, high), **more)
        self._low, self._high = low, high

    def _deserialize(self, value: Any, *_args: Any, **_kwargs: Any) -> int:
        hint = f"Send a number from {self._low} to {self._high}, in digits."
        if not _DIGITS.fullmatch(str(value)):
            raise _refusal("type", "This is no whole number.", hint)
        if not self._low <= int(value) <= self._high:
            raise _refusal("out_of_range", "The number is out of its range.", hint)
        return int(value)


class Choice(fields.String):
    """One of a few words."""

    def __init__(self, choices: Sequence[str], **more: Any) -> None:
        # What OpenAPI shows.
        super().__init__(validate=validate.OneOf(choices), **more)
        self._choices = choices

    def _deserialize(self, value: Any, *_args: Any, **_kwargs: Any) -> str:
        if value not in self._choices:
            hint = f"Send one of {', '.join(self._choices)}."
            raise _refusal("one_of", "This is none of the words that there are.", hint)
        return str(value)


class Moment(fields.AwareDateTime):
    """A moment with its zone."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> datetime:
        try:
            return super()._deserialize(value, *args, **kwargs)
        except ValidationError:
            hint = "Send one like 2026-01-02T03:04:05Z."
            raise _refusal("bad_time", "This is no moment with its zone.", hint) from None


def _refusal(code: str, message: str, hint: str) -> ValidationError:
    """Answer a refusal that `web.api.problems` tells as it stands, at the field's path."""
    return ValidationError([Fault("", code, message, hint)])


class PageArguments(Strict):
    """Which page of a list."""

    limit = WholeNumber(1, LONGEST_PAGE, load_default=20, metadata={"description": "Rows at most."})
    cursor = fields.String(
        load_default=None,
        validate=validate.Length(max=_LONGEST_CURSOR),
        metadata={"description": "`next_cursor` of the page before."},
    )


class PageOf(Schema):
    """A page of a list, as OpenAPI shows it; each list names its `items`."""

    items: ClassVar[Any] = fields.List(fields.Dict(), required=True)
    total_count = fields.Integer(required=True)
    has_more = fields.Boolean(required=True)
    next_cursor = fields.String(allow_none=True, required=True)


def page_document(page: Page[Any], render: Any) -> dict[str, Any]:
    """Answer a page as it is published, each row rendered by a function of core."""
    return {
        "items": [render(row) for row in page.items],
        "total_count": page.total_count,
        "has_more": page.next_cursor is not None,
        "next_cursor": page.next_cursor,
    }
