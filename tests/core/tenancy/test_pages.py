import base64
import itertools
import json
from datetime import timedelta

import pytest
from sqlalchemy import select

from core.clock import now
from core.errors import InvalidInputError
from core.jobs.models import Job
from core.tenancy.pages import Page, read_page
from core.tenancy.session import open_session
from tests.builders import a_tenant

SOMEBODY = "6f9619ff-8b86-4d01-b42d-00cf4fc964ff"
pytestmark = pytest.mark.usefixtures("database")


def _encoded(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "x",
        "é",
        "\x00",
        _encoded(""),
        _encoded("{}"),
        _encoded('"ab"'),
        _encoded("[1, 2]"),
        _encoded("[null, null]"),
        _encoded('["2026-01-01T00:00:00", 7]'),
        _encoded('["2026-01-01T00:00:00+00:00", "not an id"]'),
        _encoded("[" * 100_000),
        _encoded("9" * 10_000),
        _encoded(json.dumps(["2026-01-01T00:00:00+00:00", SOMEBODY, 3])),
    ],
    ids=itertools.count(),
)
def test_a_cursor_that_we_did_not_give_is_refused(cursor: str) -> None:
    with (
        pytest.raises(InvalidInputError, match="cursor cannot be read"),
        open_session(a_tenant()) as session,
    ):
        read_page(session, select(Job), by=(Job.created_at, Job.id), limit=2, cursor=cursor)


def test_pages_show_every_row_once_while_rows_come_and_go() -> None:
    tenant = a_tenant()
    born = now()
    rows = [
        Job(tenant_id=tenant, kind="k", queue="q", created_at=born - timedelta(seconds=number // 3))
        for number in range(10)
    ]
    with open_session(tenant) as session:
        session.add_all(rows)
        session.flush()
        ids = {row.id for row in rows}
    seen: list[object] = []
    cursor = None
    while cursor is not None or not seen:
        with open_session(tenant) as session:
            page: Page[Job] = read_page(
                session, select(Job), by=(Job.created_at, Job.id), limit=3, cursor=cursor
            )
            assert page.total_count >= 10
            seen += [row.id for row in page.items]
            cursor = page.next_cursor
            session.add(Job(tenant_id=tenant, kind="later", queue="q"))
    assert len(seen) == 10
    assert set(seen) == ids
