import json
from uuid import UUID

import psycopg
import pytest
from click.testing import CliRunner

from core.cli.tenants import audit, createsuperuser, tenant
from core.identity.authentication import login, login_operator
from core.identity.links import set_password
from core.jobs.pauses import pause_tenant
from core.tenancy.session import open_platform_session
from tests.builders import PASSWORD, a_mail, a_ref, a_slug

pytestmark = pytest.mark.usefixtures("database")


def test_a_firm_is_made_changed_and_its_log_verified(
    as_superuser: "psycopg.Connection[tuple[object, ...]]",
) -> None:
    slug, mail, run = a_slug(), a_mail(), CliRunner()
    made = run.invoke(
        tenant, ["create", "--name", "Acme", "--subdomain", slug, "--admin-email", mail]
    )
    assert made.exit_code == 0, made.output
    document = json.loads(made.output)
    set_password(document["password_path"].partition("#token=")[2], PASSWORD)
    ref = a_ref(UUID(document["tenant"]["id"]))
    assert login(ref, email=mail, password=PASSWORD, address=None)
    changed = run.invoke(tenant, ["set", slug, "--tier", "enterprise", "--open-registration"])
    assert json.loads(changed.output)["subscription_tier"] == "enterprise"
    with open_platform_session() as session:
        pause_tenant(session, ref.id)
    assert json.loads(changed.output)["paused"] is False
    assert json.loads(run.invoke(tenant, ["set", slug]).output)["paused"] is True
    assert run.invoke(audit, ["verify", slug]).exit_code == 0
    as_superuser.execute(
        "UPDATE neozork.audit_entries SET entry = '{}' WHERE tenant_id = %s AND number = 2",
        [ref.id],
    )
    broken = run.invoke(audit, ["verify", slug])
    assert (broken.exit_code, "at entry 2" in broken.output) == (1, True)


@pytest.mark.parametrize(("given", "typed"), [(PASSWORD, ""), ("-", f"{PASSWORD}\n")])
def test_a_firm_is_made_with_its_admins_password(given: str, typed: str) -> None:
    slug, mail = a_slug(), a_mail()
    asked = ["create", "--name", "Acme", "--subdomain", slug, "--admin-email", mail]
    made = CliRunner().invoke(tenant, [*asked, "--admin-password", given], input=typed)
    assert made.exit_code == 0, made.output
    document = json.loads(made.output)
    assert document["password_path"] is None
    ref = a_ref(UUID(document["tenant"]["id"]))
    assert login(ref, email=mail, password=PASSWORD, address=None)


def test_an_operator_is_made_without_the_password_on_the_command_line() -> None:
    mail = a_mail()
    made = CliRunner().invoke(createsuperuser, ["--email", mail], input=f"{PASSWORD}\n{PASSWORD}\n")
    assert made.exit_code == 0, made.output
    assert login_operator(email=mail, password=PASSWORD, address=None)
