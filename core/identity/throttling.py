"""Failed proofs of a password, counted in Valkey, so that guessing is slow.

Counted are an account tried from one address, and all failures of one address. No counter is
the account's alone: whoever guesses at it elsewhere cannot lock its owner out. A window
begins with its first failure and is never prolonged, so that it always ends. Without Valkey
nothing is counted and sign-in goes on.
"""

import hashlib
import ipaddress
from dataclasses import dataclass

import redis

from core.errors import ThrottledError
from core.logging import get_logger
from core.valkey import get_valkey

WINDOW_S = 900
FAILURES_PER_ACCOUNT = 10
FAILURES_PER_ADDRESS = 200
_NETWORK_OF_A_SITE = 64
log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Attempt:
    """Somebody at an address who says to be an account; `address` None: this machine's shell."""

    email: str
    address: str | None

    def limits(self) -> tuple[tuple[str, int], ...]:
        """Answer the counters that an attempt falls under, with their limits; no mail in them."""
        if self.address is None:
            return ()
        site = _site(self.address)
        account = _digest(f"{self.email}|{site}")
        return (
            (f"throttle:account:{account}", FAILURES_PER_ACCOUNT),
            (f"throttle:address:{_digest(site)}", FAILURES_PER_ADDRESS),
        )


def refuse_excess(attempt: Attempt) -> None:
    """Raise ThrottledError where too many attempts like this one have failed.

    Ask before the password is checked, and again before a right one counts: of many guesses
    sent at once, those after the limit then fail whatever they say.
    """
    limits = attempt.limits()
    if not limits:
        return
    try:
        with get_valkey().pipeline(transaction=False) as pipe:
            for key, _limit in limits:
                pipe.get(key)
                pipe.ttl(key)
            answers = pipe.execute()
    except redis.RedisError:
        log.warning("sign_in_is_not_throttled")
        return
    waits = [
        max(1, int(wait))
        for (_key, limit), failures, wait in zip(limits, answers[::2], answers[1::2], strict=True)
        if int(failures or 0) >= limit
    ]
    if waits:
        raise ThrottledError(
            f"Too many attempts have failed. Try again in {max(waits)} s.",
            retry_after_s=max(waits),
        )


def count_failure(attempt: Attempt) -> None:
    """Count an attempt that failed."""
    _change([("failed", key) for key, _limit in attempt.limits()])


def forget_failures(attempt: Attempt) -> None:
    """Forget an account's failures at an address, once its owner signed in from there."""
    _change([("forget", key) for key, _limit in attempt.limits()[:1]])


def _change(changes: list[tuple[str, str]]) -> None:
    if not changes:
        return
    try:
        with get_valkey().pipeline(transaction=True) as pipe:
            for what, key in changes:
                if what == "forget":
                    pipe.delete(key)
                else:
                    pipe.set(key, 0, ex=WINDOW_S, nx=True)
                    pipe.incr(key)
            pipe.execute()
    except redis.RedisError:
        log.warning("sign_in_is_not_throttled")


def _site(address: str) -> str:
    """Answer what one caller can hardly change: an IPv4 address, or an IPv6 network of 64 bits."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed, _NETWORK_OF_A_SITE), strict=False))
    return str(parsed)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
