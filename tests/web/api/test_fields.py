from uuid import UUID

import pytest
from flask.testing import FlaskClient

from core.tenancy.session import open_session
from core.trading.models import Strategy
from tests.builders import a_client, a_member, a_tenant

pytestmark = pytest.mark.usefixtures("database")
LISTS = ["jobs/", "users/", "trading/data/", "trading/strategies/", "trading/backtesting/"]


@pytest.fixture(scope="module")
def client(database: str) -> FlaskClient:
    del database
    return a_client(a_tenant(), role="admin")


@pytest.mark.parametrize("path", LISTS)
@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("limit=0", "/limit"),
        ("limit=101", "/limit"),
        ("limit=-1", "/limit"),
        ("limit=abc", "/limit"),
        ("limit=1.5", "/limit"),
        ("limit=1_0", "/limit"),
        ("limit=", "/limit"),
        ("limit=" + "9" * 5_000, "/limit"),
        ("cursor=abc", "/cursor"),
        ("cursor=%F0%9F%98%80", "/cursor"),
        ("cursor=WyJ4IiwieSJd", "/cursor"),
        ("cursor=" + "W1tb" * 600, "/cursor"),
        ("sort=name", "/sort"),
    ],
)
def test_a_page_that_cannot_be_given_is_422_with_a_pointer(
    client: FlaskClient, path: str, query: str, pointer: str
) -> None:
    answer = client.get(f"/api/v1/{path}?{query}")
    assert answer.status_code == 422, answer.text
    assert answer.json["errors"][0]["path"] == pointer


@pytest.mark.parametrize(
    ("query", "path", "code", "hint"),
    [
        ("limit=0", "/limit", "out_of_range", "a number from 1 to 100"),
        (f"limit={'9' * 23}", "/limit", "out_of_range", "a number from 1 to 100"),
        (f"limit=-{'9' * 4_000}", "/limit", "out_of_range", "a number from 1 to 100"),
        ("limit=1&limit=2", "/limit", "duplicate_key", "Keep one of them."),
        ("limit=1&kind=a%2Fb&kind=c", "/kind", "duplicate_key", "Keep one of them."),
        ("limit=1.5", "/limit", "type", "a number from 1 to 100"),
        ("status=lost", "/status", "one_of", "queued, dispatched, waiting, running"),
        ("created_from=2026-01-02", "/created_from", "bad_time", "2026-01-02T03:04:05Z"),
        ("created_to=2026-01-02T03:04:05", "/created_to", "bad_time", "2026-01-02T03:04:05Z"),
        ("created_to=yesterday", "/created_to", "bad_time", "2026-01-02T03:04:05Z"),
    ],
)
def test_a_query_that_does_not_fit_is_told_what_would(
    client: FlaskClient, query: str, path: str, code: str, hint: str
) -> None:
    (fault,) = client.get(f"/api/v1/jobs/?{query}").json["errors"]
    assert (fault["path"], fault["code"], hint in fault["hint"]) == (path, code, True)
    for word in ("aware", "datetime", "valid"):
        assert word not in fault["message"]


def test_a_moment_is_read_in_its_zone(client: FlaskClient) -> None:
    for moment in ("2026-01-02T03:04:05Z", "2026-01-02T03:04:05.5%2B02:00"):
        assert client.get(f"/api/v1/jobs/?created_from={moment}").status_code == 200


@pytest.mark.parametrize("path", LISTS)
def test_every_list_has_the_same_shape(client: FlaskClient, path: str) -> None:
    answer = client.get(f"/api/v1/{path}?limit=100")
    assert answer.status_code == 200
    assert answer.json.keys() == {"items", "total_count", "has_more", "next_cursor"}


def test_a_cursor_walks_everything_once_while_rows_come() -> None:
    tenant = a_tenant()
    client = a_client(tenant)
    for number in range(7):
        add_strategy(tenant, f"early {number}")
    seen, cursor = [], ""
    while cursor is not None:
        page = client.get(
            f"/api/v1/trading/strategies/?limit=2{cursor and f'&cursor={cursor}'}"
        ).json
        seen += [row["name"] for row in page["items"]]
        cursor = page["next_cursor"]
        assert page["has_more"] == (cursor is not None)
        add_strategy(tenant, f"late {len(seen)}")
    assert seen == [f"early {number}" for number in reversed(range(7))]


def test_members_are_walked_once_though_they_are_listed_oldest_first() -> None:
    tenant = a_tenant(tier="enterprise")
    client = a_client(tenant, role="admin")
    expected = [str(a_member(tenant)) for _ in range(4)]
    seen, cursor = [], ""
    while cursor is not None:
        more = f"&cursor={cursor}" if cursor else ""
        page = client.get(f"/api/v1/users/?limit=2{more}").json
        seen += [row["id"] for row in page["items"]]
        cursor = page["next_cursor"]
    assert seen[1:] == expected


def add_strategy(tenant: UUID, name: str) -> None:
    with open_session(tenant) as session:
        session.add(Strategy(name=name))
