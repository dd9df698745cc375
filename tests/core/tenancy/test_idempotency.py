from dataclasses import replace
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, select, update

from core.errors import ConflictError, InvalidInputError
from core.tenancy.idempotency import (
    KEPT,
    IdempotencyKey,
    Request,
    earlier_answer,
    forget_answers,
    keep_answer,
)
from core.tenancy.session import open_session
from tests.builders import a_tenant

pytestmark = pytest.mark.usefixtures("database")


def a_request(*, body: bytes = b"body") -> Request:
    return Request(user_id=uuid4(), route="POST /strategies", key="one", body_digest=body)


def _answer(tenant: UUID, request: Request) -> object:
    with open_session(tenant) as session:
        return earlier_answer(session, request)


def _keep(tenant: UUID, request: Request, answer: dict[str, object]) -> None:
    with open_session(tenant) as session:
        assert earlier_answer(session, request) is None
        keep_answer(session, request, answer)


def test_a_request_that_comes_again_is_answered_as_before() -> None:
    tenant, request = a_tenant(), a_request()
    _keep(tenant, request, {"id": "made"})
    assert _answer(tenant, request) == {"id": "made"}


def test_another_body_route_user_or_tenant_is_another_request() -> None:
    tenant, request = a_tenant(), a_request()
    _keep(tenant, request, {"id": "made"})
    with pytest.raises(InvalidInputError) as raised:
        _answer(tenant, replace(request, body_digest=b"other"))
    assert raised.value.instance_code == "idempotency_key_reused"
    assert _answer(tenant, replace(request, route="POST /uploads")) is None
    assert _answer(tenant, replace(request, user_id=uuid4())) is None
    assert _answer(a_tenant(), request) is None


def test_a_request_whose_twin_is_in_flight_is_refused_until_it_ends() -> None:
    tenant, request = a_tenant(), a_request()
    with open_session(tenant) as session:
        assert earlier_answer(session, request) is None
        with pytest.raises(ConflictError) as raised:
            _answer(tenant, request)
        session.rollback()
    assert raised.value.instance_code == "idempotency_in_flight"
    assert _answer(tenant, request) is None


def test_an_answer_goes_with_its_change() -> None:
    tenant, request = a_tenant(), a_request()
    with open_session(tenant) as session:
        keep_answer(session, request, {"id": "undone"})
        session.rollback()
    assert _answer(tenant, request) is None


def test_after_a_day_a_key_may_be_taken_for_something_new() -> None:
    tenant, request = a_tenant(), a_request()
    _keep(tenant, request, {"id": "old"})
    with open_session(tenant) as session:
        long_ago = func.now() - KEPT - timedelta(seconds=1)
        session.execute(update(IdempotencyKey).values(created_at=long_ago))
    _keep(tenant, replace(request, body_digest=b"new"), {"id": "new"})
    with open_session(tenant) as session:
        assert session.scalars(select(IdempotencyKey.answer)).all() == [{"id": "new"}]


def test_what_nobody_can_ask_for_any_more_is_deleted_and_nothing_else() -> None:
    tenant, old, young = a_tenant(), a_request(), a_request()
    _keep(tenant, old, {"id": "old"})
    with open_session(tenant) as session:
        long_ago = func.now() - KEPT - timedelta(seconds=1)
        session.execute(update(IdempotencyKey).values(created_at=long_ago))
    _keep(tenant, young, {"id": "young"})
    forget_answers()
    with open_session(tenant) as session:
        assert session.scalars(select(IdempotencyKey.answer)).all() == [{"id": "young"}]
