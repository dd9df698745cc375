import subprocess
import sys

import pytest
from argon2 import PasswordHasher

from core.identity.passwords import (
    LONGEST,
    SHORTEST,
    hash_password,
    password_faults,
    tally,
    verify_password,
)


def codes(password: str, *, email: str = "", username: str = "") -> list[str]:
    return [fault.code for fault in password_faults(password, email=email, username=username)]


def test_a_password_is_right_for_its_own_hash_alone() -> None:
    known = hash_password("correct horse battery")
    assert verify_password("correct horse battery", known).right
    assert not verify_password("correct horse batterz", known).right
    assert not verify_password("correct horse battery ", known).right


def test_parameters_are_owasps() -> None:
    assert hash_password("correct horse battery").startswith("$argon2id$v=19$m=19456,t=2,p=1$")


def test_an_unknown_hash_costs_one_verification_and_is_never_right() -> None:
    before = tally.verified
    assert not verify_password("correct horse battery", None).right
    assert tally.verified == before + 1


def test_a_hash_of_old_parameters_is_made_anew() -> None:
    old = PasswordHasher(memory_cost=8, time_cost=1, parallelism=1).hash("correct horse battery")
    verdict = verify_password("correct horse battery", old)
    assert verdict.right
    assert verdict.rehash is not None
    assert verify_password("correct horse battery", verdict.rehash).right
    assert verify_password("wrong horse battery", old).rehash is None


def test_one_spelling_of_a_character_is_as_good_as_another() -> None:
    assert verify_password("cafe\u0301 au lait", hash_password("caf\u00e9 au lait")).right


@pytest.mark.parametrize("damaged", ["", "plain", "$argon2id$v=19$m=19456,t=2,p=1$x$y"])
def test_a_damaged_hash_is_never_right(damaged: str) -> None:
    assert not verify_password("correct horse battery", damaged).right


@pytest.mark.parametrize("odd", ["nul\x00 in the middle", "lone \ud800 surrogate", "🐎" * 60])
def test_every_character_is_taken(odd: str) -> None:
    assert codes(odd) in ([], ["password_too_common"])
    assert verify_password(odd, hash_password(odd)).right


@pytest.mark.parametrize(
    ("password", "expected"),
    [
        ("x1y2z3w4v5"[: SHORTEST - 1], ["password_too_short"]),
        ("x1y2z3w4v5"[:SHORTEST], []),
        ("abcd" * (LONGEST // 4), []),
        ("abcd" * (LONGEST // 4) + "e", ["password_too_long"]),
        ("aaaaaaaaaaaa", ["password_too_common"]),
        ("QwertyUIOP", ["password_too_common"]),
        ("Ada.Lovelace@Example.com", ["password_is_known"]),
        ("ada.lovelace", ["password_is_known"]),
        ("the countess", ["password_is_known"]),
        ("", ["password_too_short"]),
    ],
)
def test_a_new_password_is_long_and_not_expected(password: str, expected: list[str]) -> None:
    found = codes(password, email="ada.lovelace@example.com", username="The Countess")
    assert found == expected


_UNDER_GEVENT = """
from gevent import monkey
monkey.patch_all()
import gevent
from core.identity.passwords import hash_password, verify_password

ticks = []
def tick():
    while True:
        ticks.append(1)
        gevent.sleep(0)

ticker = gevent.spawn(tick)
known = hash_password("correct horse battery")
during = len(ticks)
jobs = [gevent.spawn(verify_password, "correct horse battery", known) for _ in range(8)]
gevent.joinall(jobs, raise_error=True)
assert all(job.value.right for job in jobs)
assert during > 100, during
print("ok")
"""


def test_other_greenlets_go_on_while_a_password_is_hashed() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _UNDER_GEVENT], capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.returncode) == ("ok\n", 0), done.stderr
