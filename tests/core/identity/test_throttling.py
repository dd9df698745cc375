import pytest

from core.errors import ThrottledError
from core.identity.throttling import (
    FAILURES_PER_ACCOUNT,
    FAILURES_PER_ADDRESS,
    WINDOW_S,
    Attempt,
    count_failure,
    forget_failures,
    refuse_excess,
)
from core.settings import get_settings
from core.valkey import get_valkey
from tests.builders import a_mail

pytestmark = pytest.mark.usefixtures("database", "no_counters")


@pytest.fixture
def no_counters(database: str) -> None:
    del database
    for key in get_valkey().scan_iter("throttle:*"):
        get_valkey().delete(key)


def fail(attempt: Attempt, times: int) -> None:
    for _ in range(times):
        refuse_excess(attempt)
        count_failure(attempt)


def test_an_account_is_refused_at_one_address_and_taken_from_another() -> None:
    mail = a_mail()
    fail(Attempt(mail, "192.0.2.1"), FAILURES_PER_ACCOUNT)
    with pytest.raises(ThrottledError) as raised:
        refuse_excess(Attempt(mail, "192.0.2.1"))
    assert 0 < raised.value.retry_after_s <= WINDOW_S
    refuse_excess(Attempt(mail, "192.0.2.2"))
    refuse_excess(Attempt(a_mail(), "192.0.2.1"))


def test_an_address_is_refused_for_every_account_after_many_failures() -> None:
    for _ in range(FAILURES_PER_ADDRESS):
        count_failure(Attempt(a_mail(), "192.0.2.3"))
    with pytest.raises(ThrottledError):
        refuse_excess(Attempt(a_mail(), "192.0.2.3"))


def test_further_attempts_do_not_prolong_the_window() -> None:
    attempt = Attempt(a_mail(), "192.0.2.4")
    fail(attempt, FAILURES_PER_ACCOUNT)
    keys = [key for key, _ in attempt.limits()]
    for key in keys:
        get_valkey().expire(key, 100)
    count_failure(attempt)
    assert all(0 < get_valkey().ttl(key) <= 100 for key in keys)


def test_signing_in_forgets_the_accounts_failures_and_not_the_addresss() -> None:
    attempt = Attempt(a_mail(), "192.0.2.5")
    fail(attempt, FAILURES_PER_ACCOUNT)
    forget_failures(attempt)
    refuse_excess(attempt)
    (account, _), (address, _) = attempt.limits()
    assert get_valkey().get(account) is None
    assert int(get_valkey().get(address)) == FAILURES_PER_ACCOUNT


def test_one_site_of_ipv6_is_one_address() -> None:
    mail = a_mail()
    assert Attempt(mail, "2001:db8::1").limits() == Attempt(mail, "2001:db8::ffff:1").limits()
    assert Attempt(mail, "2001:db8::1").limits() != Attempt(mail, "2001:db8:0:1::1").limits()
    assert Attempt(mail, "::ffff:192.0.2.1").limits() == Attempt(mail, "192.0.2.1").limits()


def test_counters_hold_no_mail() -> None:
    mail = a_mail()
    assert all(mail not in key for key, _ in Attempt(mail, "192.0.2.6").limits())


def test_without_valkey_nothing_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", "unix:///nowhere/at/all")
    get_settings.cache_clear()
    get_valkey.cache_clear()
    try:
        fail(Attempt(a_mail(), "192.0.2.7"), FAILURES_PER_ACCOUNT + 1)
    finally:
        monkeypatch.undo()
        get_settings.cache_clear()
        get_valkey.cache_clear()
