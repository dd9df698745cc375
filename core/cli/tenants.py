"""`neozork tenant …`, `createsuperuser`, `audit verify`: what an operator does by hand."""

import json
import sys

import click

_STANDARD_INPUT = "-"


@click.group()
def tenant() -> None:
    """Make and change firms."""


@tenant.command("create")
@click.option("--name", required=True, help="The firm's name.")
@click.option("--subdomain", required=True, help="Its slug: a host name of its own.")
@click.option("--admin-email", required=True, help="The mail of its first admin.")
@click.option(
    "--admin-password",
    help="Their password, - to read it from standard input; without one a one-time link is made.",
)
def create(name: str, subdomain: str, admin_email: str, admin_password: str | None) -> None:
    """Make a firm with its first admin, ready to use."""
    from core.identity.signup import create_tenant

    password = (
        sys.stdin.readline().rstrip("\n") if admin_password == _STANDARD_INPUT else admin_password
    )
    made = create_tenant(
        name=name, subdomain=subdomain, admin_email=admin_email, admin_password=password
    )
    document = {"tenant": made.tenant, "user": made.user.as_document()}
    click.echo(json.dumps({**document, "password_path": made.password_path}, indent=2))


@tenant.command("set")
@click.argument("slug")
@click.option("--tier", help="starter, professional, enterprise or custom.")
@click.option("--status", help="trialing, active or suspended; suspended holds its jobs.")
@click.option("--open-registration/--closed-registration", default=None, help="Who may join.")
@click.option("--mail-domain", "domains", multiple=True, help="Only these may register; repeat.")
@click.option("--host", help="A host name of the firm's own; empty for none.")
def change(
    slug: str,
    *,
    tier: str | None,
    status: str | None,
    open_registration: bool | None,
    domains: tuple[str, ...],
    host: str | None,
) -> None:
    """Change a firm's tier, status, registration or host, and show it."""
    from core.identity.operations import set_tenant
    from core.jobs.pauses import paused_tenants
    from core.tenancy.session import open_platform_session

    document = set_tenant(
        slug,
        tier=tier,
        status=status,
        open_registration=open_registration,
        domains=domains or None,
        host=host,
    )
    with open_platform_session() as session:
        document["paused"] = slug in paused_tenants(session)
    click.echo(json.dumps(document, indent=2))


@click.command()
@click.option("--email", prompt=True)
@click.password_option(help="Asked for where it is not given, so that no history keeps it.")
def createsuperuser(email: str, password: str) -> None:
    """Make an operator of the platform."""
    from core.identity.operations import create_superuser

    click.echo(f"Operator {email} has the id {create_superuser(email, password)}.")


@click.group()
def audit() -> None:
    """Look after the audit log."""


@audit.command("verify")
@click.argument("slug")
def verify_chain(slug: str) -> None:
    """Check a firm's chain; exit status 1 where it is broken."""
    from core.audit.chain import head, verify
    from core.tenancy.resolution import Signals, resolve
    from core.tenancy.session import open_session

    with open_session(resolve(Signals(path=slug)).id) as session:
        broken = verify(session)
        last = head(session)
    if broken is not None:
        click.echo(f"The audit log of {slug} is broken at entry {broken}.", err=True)
        sys.exit(1)
    click.echo(f"The audit log of {slug} is whole at entry {last.number:,}, {last.digest.hex()}.")
