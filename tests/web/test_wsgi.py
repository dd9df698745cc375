import pytest
from flask import request
from werkzeug.test import Client

from tests.builders import an_app
from web.wsgi import behind_proxies

pytestmark = pytest.mark.usefixtures("database")
FORGED = {"X-Forwarded-For": "1.1.1.1, 2.2.2.2", "X-Forwarded-Proto": "https"}


def seen_by_the_application(proxies: int) -> tuple[str | None, bool, str]:
    seen = []
    app = an_app()
    app.before_request_funcs.setdefault(None, []).append(
        lambda: seen.append((request.remote_addr, request.is_secure, request.host))
    )
    try:
        Client(behind_proxies(app, proxies)).get(
            "/api/v1/plans",
            headers=FORGED | {"X-Forwarded-Host": "evil.example"},
            environ_base={"REMOTE_ADDR": "10.0.0.9"},
        )
    finally:
        app.before_request_funcs[None].pop()
    return seen[0]


@pytest.mark.parametrize(
    ("proxies", "seen"),
    [(0, ("10.0.0.9", False, "localhost")), (1, ("2.2.2.2", True, "localhost"))],
)
def test_only_what_our_own_proxies_say_is_believed(
    proxies: int, seen: tuple[str, bool, str]
) -> None:
    assert seen_by_the_application(proxies) == seen
