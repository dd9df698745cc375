"""A later release of the tenant tree: the real one and one revision more, in a folder."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from uuid import UUID

import psycopg
from sqlalchemy import select

import migrations
from core.settings import get_settings
from core.tenancy.models import TenantRelease, TenantSchema
from core.tenancy.roles import tenant_role
from core.tenancy.session import open_platform_session
from tests.programs import until

REAL = Path(migrations.__file__).parent
_LATER = """
from alembic import op
revision = "9999"
down_revision = {head!r}
branch_labels = depends_on = None

def upgrade():
    op.execute({sql!r})
"""


def a_later_release(folder: Path, *, head: str, sql: str) -> Path:
    """Write a tree whose last revision says `sql`, and answer its alembic.ini."""
    shutil.copytree(REAL / "tenant", folder / "tenant")
    (folder / "tenant/versions/9999_later.py").write_text(_LATER.format(head=head, sql=sql))
    ini = folder / "alembic.ini"
    text = (REAL / "alembic.ini").read_text()
    ini.write_text(
        text.replace("%(here)s/shared", str(REAL / "shared")).replace(
            "%(here)s/..", str(REAL.parent)
        )
    )
    return ini


def start_migrate(*asked: str, ini: Path = REAL / "alembic.ini") -> "subprocess.Popen[str]":
    """Start a release's `migrate` in a process of its own."""
    program = (
        "import sys; from pathlib import Path; from migrations import run;"
        f"run._INI = Path({str(ini)!r}); sys.exit(run.main({list(asked)!r}))"
    )
    return subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ.copy(),
        cwd=REAL.parent,
    )


def as_owner(statement: str) -> list[tuple[object, ...]]:
    url = get_settings().required("database_url")
    with psycopg.connect(url, autocommit=True) as owner:
        done = owner.execute(statement)
        return done.fetchall() if done.description else []


def head() -> str:
    with open_platform_session() as session:
        return (
            session.scalars(
                select(TenantRelease.head).order_by(TenantRelease.created_at.desc())
            ).first()
            or ""
        )


def stands(tenant_id: UUID) -> tuple[str, int, bool]:
    with open_platform_session() as session:
        row = session.get_one(TenantSchema, tenant_id)
        return row.revision, row.failures, row.quarantined_at is not None


def has(tenant_id: UUID, table: str) -> bool:
    return as_owner(f"SELECT to_regclass('{tenant_role(tenant_id)}.{table}') IS NOT NULL")[0][0]


def backends(what: str) -> list[object]:
    """Answer the processes of the server that are at something, in the test's own database."""
    query = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND "
    return [row[0] for row in as_owner(query + what)]


def until_backend(what: str) -> None:
    until(lambda: backends(what), f"a backend where {what}")
