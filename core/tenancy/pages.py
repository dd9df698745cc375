"""Pages of a list: newest first, by a cursor that stays right while rows come and go."""

import base64
import binascii
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar
from uuid import UUID

from sqlalchemy import Select, func, select, tuple_
from sqlalchemy.orm import InstrumentedAttribute

from core.errors import Fault, InvalidInputError
from core.tenancy.session import PlatformSession, TenantSession

Row = TypeVar("Row")
LONGEST_PAGE = 100


@dataclass(frozen=True, slots=True)
class Page(Generic[Row]):
    """Some rows of a list: `next_cursor` None at the end; `total_count` of the whole list."""

    items: Sequence[Row]
    total_count: int
    next_cursor: str | None


def read_page(
    session: TenantSession | PlatformSession,
    statement: Select[Any],
    *,
    by: tuple[InstrumentedAttribute[datetime], InstrumentedAttribute[UUID]],
    limit: int,
    cursor: str | None,
) -> Page[Any]:
    """Read one page of a statement that selects one entity, newest first by `(time, id)`.

    Raises InvalidInputError where the cursor is none that we gave.
    """
    total = session.scalar(select(func.count()).select_from(statement.subquery())) or 0
    page = statement.order_by(by[0].desc(), by[1].desc()).limit(limit + 1)
    if cursor is not None:
        page = page.where(tuple_(*by) < _decode(cursor))
    rows = session.scalars(page).all()
    more = len(rows) > limit
    items = rows[:limit]
    last = items[-1] if more else None
    return Page(
        items,
        total,
        _encode(getattr(last, by[0].key), getattr(last, by[1].key)) if last else None,
    )


def _encode(at: datetime, row_id: UUID) -> str:
    text = json.dumps([at.isoformat(), str(row_id)])
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _decode(cursor: str) -> tuple[datetime, UUID]:
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        at, row_id = json.loads(text)
        return datetime.fromisoformat(at), UUID(row_id)
    except (ValueError, TypeError, AttributeError, RecursionError, binascii.Error):
        fault = Fault("/cursor", "bad_cursor", "This is no cursor of this list.")
        raise InvalidInputError(
            "The cursor cannot be read. Take `next_cursor` of the page before, unchanged.",
            errors=[fault],
        ) from None
