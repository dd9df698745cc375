"""A creating request and its answer in one transaction, done once however often it comes."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from flask import Response, request

from core.errors import InvalidInputError
from core.tenancy.idempotency import Request, earlier_answer, keep_answer
from core.tenancy.session import TenantSession, open_session
from web.api.reading import Blueprint
from web.api.security import caller, tenant_id

_LONGEST_KEY = 255
REPLAYED = "Idempotency-Replayed"


# Documents the header on a route that answers with `create_once`.
idempotent = Blueprint.doc(
    parameters=[
        {
            "in": "header",
            "name": "Idempotency-Key",
            "required": False,
            "description": "Makes it safe to send this again for 24 h: done once, answered alike.",
            "schema": {"type": "string", "minLength": 1, "maxLength": _LONGEST_KEY},
        }
    ]
)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a creating request is answered: its document, status and headers."""

    document: dict[str, Any]
    status: HTTPStatus = HTTPStatus.CREATED
    headers: dict[str, str] = field(default_factory=dict)


def create_once(
    create: Callable[[TenantSession], Answer], *, body_digest: bytes | None = None
) -> Response:
    """Run a creation in the tenant's transaction, or repeat what the same key was answered.

    `body_digest`: what tells one body from another, for a body that was not kept in memory.
    """
    key = request.headers.get("Idempotency-Key")
    if key is None:
        with open_session(tenant_id()) as session:
            answer = create(session)
        return _response(json.dumps(answer.document), int(answer.status), answer.headers)
    if not 0 < len(key) <= _LONGEST_KEY or not (key.isascii() and key.isprintable()):
        raise InvalidInputError(
            f"An Idempotency-Key has 1 to {_LONGEST_KEY} characters of ASCII; a random uuid is a "
            "good one.",
            code="idempotency_key_invalid",
        )
    asked = Request(
        user_id=caller().user_id,
        route=f"{request.method} {request.endpoint}",
        key=key,
        body_digest=body_digest or hashlib.sha256(request.get_data()).digest(),
    )
    with open_session(tenant_id()) as session:
        kept = earlier_answer(session, asked)
        if kept is not None:
            return _response(kept["body"], kept["status"], kept["headers"] | {REPLAYED: "true"})
        answer = create(session)
        # As text: the table's JSON would put its keys in another order.
        body, status = json.dumps(answer.document), int(answer.status)
        keep_answer(session, asked, {"body": body, "status": status, "headers": answer.headers})
    return _response(body, status, answer.headers)


def _response(body: str, status: int, headers: dict[str, str]) -> Response:
    return Response(body, status=status, headers=headers, content_type="application/json")
