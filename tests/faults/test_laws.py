"""The checker of the laws sees what breaks them, and lets pass what does not."""

from http.client import HTTPMessage
from typing import Any
from uuid import uuid4

import pytest

from tests.faults import laws
from tests.faults.load import PROBLEM, Ledger

RIGHT = {"Content-Type": PROBLEM, "Retry-After": "2"}


def judged(status: int, headers: dict[str, str], body: dict[str, Any]) -> list[str]:
    ledger, message = Ledger(), HTTPMessage()
    for name, value in headers.items():
        message[name] = value
    ledger.judge(status, message, body)
    return ledger.breaches


@pytest.mark.parametrize(
    ("status", "code"), [(202, ""), (200, ""), (503, "unavailable"), (409, "idempotency_in_flight")]
)
def test_an_answer_that_was_promised_is_none(status: int, code: str) -> None:
    assert not judged(status, RIGHT, {"code": code})


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (500, RIGHT),
        (502, RIGHT),
        (401, RIGHT),
        (409, RIGHT),
        (503, {"Content-Type": PROBLEM}),
        (503, {"Content-Type": "text/html", "Retry-After": "2"}),
    ],
)
def test_any_other_answer_is_a_breach(status: int, headers: dict[str, str]) -> None:
    assert len(judged(status, headers, {"code": "internal"})) == 1


@pytest.mark.parametrize(
    ("status", "effects", "breaches"),
    [
        ("succeeded", 1, 0),
        ("succeeded", None, 1),
        ("failed", None, 1),
        ("failed", 1, 1),
        (None, None, 1),
    ],
)
def test_what_was_promised_has_its_end_and_its_effect(
    status: str | None, effects: int | None, breaches: int
) -> None:
    job = uuid4()
    row = (job, "faults.effect", status, 1, 0, None, effects)
    assert len(laws.lost(lambda *_: [row], {job: "succeeded"})) == breaches


@pytest.mark.parametrize(("made", "breaches"), [(2, 1), (3, 0), (4, 0), (5, 1)])
def test_a_firm_has_a_backtest_for_each_answer_and_none_beyond_its_keys(
    made: int, breaches: int
) -> None:
    firm, ledger = uuid4(), Ledger()
    ledger.asked[firm], ledger.taken[firm] = 4, 3
    assert len(laws.repeated(lambda *_: [(made,)], firm, "schema", ledger)) == breaches
