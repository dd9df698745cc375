"""Schemas that several nouns share; every schema refuses what it does not know."""

from typing import Any, ClassVar

from marshmallow import RAISE, Schema, fields, validate

from core.tenancy.pages import LONGEST_PAGE, Page


class Strict(Schema):
    """A schema that names an unknown key instead of ignoring it."""

    class Meta:
        """marshmallow's options."""

        unknown = RAISE


class PageArguments(Strict):
    """Which page of a list."""

    limit = fields.Integer(
        strict=False,
        load_default=20,
        validate=validate.Range(1, LONGEST_PAGE),
        metadata={"description": "Rows at most."},
    )
    cursor = fields.String(
        load_default=None, metadata={"description": "`next_cursor` of the page before."}
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
