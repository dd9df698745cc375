from uuid import UUID, uuid4

import pytest
from sqlalchemy import update

from core.errors import InvalidInputError, NotFoundError
from core.tenancy.models import Tenant
from core.tenancy.resolution import Name, Signals, names_in, resolve
from core.tenancy.session import open_platform_session
from tests.builders import a_slug, a_tenant

OURS = "neozork.example"
SOMEBODY = UUID("6f9619ff-8b86-4d01-b42d-00cf4fc964ff")


@pytest.mark.parametrize(
    ("signals", "names"),
    [
        (Signals(), ()),
        (Signals(host=OURS), ()),
        (Signals(host="NEOZORK.example.:8000"), ()),
        (Signals(host="api.neozork.example"), ()),
        (Signals(host="admin.neozork.example"), ()),
        (Signals(host="acme.neozork.example:443"), (Name("slug", "acme"),)),
        (Signals(host="a.b.neozork.example"), (Name("slug", "a.b"),)),
        (Signals(host="evilneozork.example"), (Name("domain", "evilneozork.example"),)),
        (Signals(host="trade.acme.com"), (Name("domain", "trade.acme.com"),)),
        (Signals(host="127.0.0.1:8000"), ()),
        (Signals(host="[::1]:8000"), ()),
        (Signals(host="::1"), ()),
        (Signals(path="Acme"), (Name("slug", "acme"),)),
        (Signals(path="acme "), (Name("slug", "acme "),)),
        (Signals(path=" "), (Name("slug", " "),)),
        (Signals(header=" acme "), (Name("slug", "acme"),)),
        (Signals(path=str(SOMEBODY).upper()), (Name("id", str(SOMEBODY)),)),
        (Signals(header="  "), ()),
        (Signals(header=SOMEBODY.hex), (Name("id", str(SOMEBODY)),)),
        (Signals(token=SOMEBODY), (Name("id", str(SOMEBODY)),)),
        (
            Signals(host="a.neozork.example", path="b", header="c"),
            (Name("slug", "a"), Name("slug", "b"), Name("slug", "c")),
        ),
    ],
)
def test_signals_name_what_they_say(signals: Signals, names: tuple[Name, ...]) -> None:
    assert names_in(signals, OURS) == names


@pytest.mark.usefixtures("database")
def test_every_signal_alone_finds_the_tenant() -> None:
    slug = a_slug()
    tenant = a_tenant(slug=slug)
    host = f"{slug}.own.example"
    with open_platform_session() as session:
        session.execute(update(Tenant).where(Tenant.id == tenant).values(domain=host))
    for signals in (
        Signals(host=f"{slug}.localhost:8000"),
        Signals(host=host.upper()),
        Signals(path=slug),
        Signals(path=str(tenant)),
        Signals(header=slug),
        Signals(token=tenant),
        Signals(host=host, path=slug, header=tenant.hex, token=tenant),
    ):
        assert resolve(signals).id == tenant


@pytest.mark.usefixtures("database")
def test_a_host_that_nobody_has_is_no_signal() -> None:
    tenant = a_tenant()
    assert resolve(Signals(host="proxy.internal", token=tenant)).id == tenant
    with pytest.raises(InvalidInputError) as raised:
        resolve(Signals(host="proxy.internal"))
    assert raised.value.instance_code == "tenant_not_specified"


@pytest.mark.usefixtures("database")
def test_signals_that_disagree_answer_as_a_tenant_that_does_not_exist() -> None:
    slug = a_slug()
    tenant, other = a_tenant(slug=slug), a_tenant()
    answers = []
    for signals in (
        Signals(path=slug, token=other),
        Signals(path=slug, header=str(other)),
        Signals(host=f"{slug}.localhost", path=str(other)),
        Signals(host="no-such-firm.localhost", token=tenant),
        Signals(path="no-such-firm"),
        Signals(path=f"{slug} ", token=tenant),
        Signals(path=" ", token=tenant),
        Signals(path=str(uuid4())),
        Signals(path="nul\x00", token=tenant),
        Signals(path="\ud800"),
    ):
        with pytest.raises(NotFoundError) as raised:
            resolve(signals)
        answers.append(raised.value.problem())
    assert all(answer == answers[0] for answer in answers)


@pytest.mark.usefixtures("database")
def test_a_custom_host_must_agree_with_the_other_signals() -> None:
    slug = a_slug()
    tenant, other = a_tenant(slug=slug), a_tenant()
    host = f"{slug}.own.example"
    with open_platform_session() as session:
        session.execute(update(Tenant).where(Tenant.id == tenant).values(domain=host))
    with pytest.raises(NotFoundError):
        resolve(Signals(host=host, token=other))


@pytest.mark.usefixtures("database")
def test_no_signal_says_how_to_name_a_tenant() -> None:
    with pytest.raises(InvalidInputError) as raised:
        resolve(Signals(host="localhost:8000"))
    assert raised.value.instance_code == "tenant_not_specified"
