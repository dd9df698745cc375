"""Passwords: Argon2id in a bounded pool of threads, and the rules for a new one.

The rules follow NIST SP 800-63B: length counts (64 characters at least must be taken, none is
truncated), every character is allowed, no mixture is demanded, nothing expires; what is
expected or common is refused. NIST's floor is 8 beside a second factor and 15 alone; ours of
10 lies between, since sign-in is throttled and Argon2 makes offline guessing dear.

Under gevent, waiting for a plain executor would stop every greenlet of the process. There the
pool is gevent's own, whose callers give way; it is not the hub's, which resolves host names.
"""

import os
import sys
import threading
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from typing import Any

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError, VerifyMismatchError

from core.errors import Fault
from core.wording import counted

SHORTEST = 10
LONGEST = 200
_FEWEST_DISTINCT = 4
_COMMON = frozenset(
    {
        "1234567890",
        "0123456789",
        "12345678910",
        "123456789a",
        "0987654321",
        "1q2w3e4r5t",
        "1qaz2wsx3edc",
        "qwertyuiop",
        "qwerty12345",
        "iloveyou123",
        "administrator",
        "passwordpassword",
        "neozorkneozork",
    }
)

# OWASP's parameters, https://cheatsheetseries.owasp.org: 19 MiB, two passes, one lane.
_HASHER = PasswordHasher(memory_cost=19 * 1024, time_cost=2, parallelism=1)
_THREADS = max(2, os.cpu_count() or 1)


@dataclass(slots=True)
class Tally:
    """How often Argon2 ran in this process: for new hashes, and against known ones."""

    hashed: int = 0
    verified: int = 0


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a password was right, and its new hash where the old one's parameters are old."""

    right: bool
    rehash: str | None = None


tally = Tally()
_tally_lock = threading.Lock()


def hash_password(password: str) -> str:
    """Answer a password's Argon2id hash. Slow on purpose: call it with no session open."""
    hashed = _in_pool(_HASHER.hash, _plain(password))
    with _tally_lock:
        tally.hashed += 1
    return str(hashed)


def verify_password(password: str, known_hash: str | None) -> Verdict:
    """Tell whether a password is the one behind a hash; None costs the same and is never right.

    Call it with no session open.
    """
    right = _in_pool(_verify, known_hash or _dummy_hash(), _plain(password))
    if known_hash is None or not right:
        return Verdict(right=False)
    stale = _HASHER.check_needs_rehash(known_hash)
    return Verdict(right=True, rehash=hash_password(password) if stale else None)


def password_faults(
    password: str, *, email: str = "", username: str = "", path: str = "/password"
) -> list[Fault]:
    """Answer everything wrong with a new password; empty where it may be taken."""
    plain = unicodedata.normalize("NFKC", password)
    faults = []
    if len(plain) < SHORTEST:
        message = (
            f"The password has {counted(len(plain), 'character')}, at least {SHORTEST} are needed."
        )
        hint = "A few unrelated words make a good password."
        faults.append(Fault(path, "password_too_short", message, hint))
    if len(plain) > LONGEST:
        message = f"The password has more than {LONGEST} characters."
        faults.append(Fault(path, "password_too_long", message, "Take a shorter one."))
    lower = plain.casefold()
    own = {email.casefold(), email.partition("@")[0].casefold(), username.casefold()}
    if lower and lower in own:
        message = "The password is the mail or the user name."
        hint = "Take something that is not known of you."
        faults.append(Fault(path, "password_is_known", message, hint))
    elif lower in _COMMON or (len(plain) >= SHORTEST and len(set(plain)) < _FEWEST_DISTINCT):
        message = "The password is among the first that anybody would try."
        faults.append(Fault(path, "password_too_common", message, "Take a few unrelated words."))
    return faults


@lru_cache(maxsize=1)
def _dummy_hash() -> str:
    return _HASHER.hash(os.urandom(16))


def _plain(password: str) -> bytes:
    return unicodedata.normalize("NFKC", password).encode("utf-8", "surrogatepass")


def _verify(known_hash: str, plain: bytes) -> bool:
    right = True
    try:
        _HASHER.verify(known_hash, plain)
    except VerifyMismatchError:
        right = False
    except (VerificationError, InvalidHashError):
        return False
    with _tally_lock:
        tally.verified += 1
    return right


def _in_pool(function: Callable[..., Any], *args: Any) -> Any:
    monkey = sys.modules.get("gevent.monkey")
    if monkey is not None and monkey.is_module_patched("threading"):
        return _gevent_pool(os.getpid()).apply(function, args)
    return _plain_pool(os.getpid()).submit(function, *args).result()


# By process id: a forked server must not wait for the threads of its parent.
@lru_cache(maxsize=1)
def _plain_pool(_pid: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(_THREADS, thread_name_prefix="argon2")


@lru_cache(maxsize=1)
def _gevent_pool(_pid: int) -> Any:
    return import_module("gevent.threadpool").ThreadPool(_THREADS)
