"""A revision over many tenants, fanned out, against Alembic once per tenant.

`python benchmarks/fan_out.py`: a Postgres of its own (fsync on). Prints the table for
benchmarks/RESULTS.md.
"""

import argparse
import logging
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from argparse import Namespace
from pathlib import Path
from uuid import UUID, uuid4

from alembic import command
from jobs import servers
from sqlalchemy import func, select

import migrations
from core.tenancy.engine import owner_engine
from core.tenancy.models import TenantSchema
from core.tenancy.provisioning import provision, run_script
from core.tenancy.roles import tenant_role
from migrations import run

REAL = Path(migrations.__file__).parent
REVISION = """
import sqlalchemy as sa
from alembic import op
revision, down_revision = {revision!r}, {before!r}
branch_labels = depends_on = None

def upgrade():
    op.add_column("strategies", sa.Column("stars_{revision}", sa.Integer()))
    op.create_table(
        "ratings_{revision}",
        sa.Column("id", sa.Uuid(), primary_key=True, server_default=sa.func.gen_random_uuid()),
        sa.Column("strategy_id", sa.Uuid(), sa.ForeignKey("strategies.id"), nullable=False),
    )
    op.create_index("ix_ratings_{revision}", "ratings_{revision}", ["strategy_id"])
"""
RUNNER = """
import sys
from core.tenancy.upgrades import upgrade_tenants
for speak in ("ready", "done"):
    print(speak, flush=True)
    sys.stdin.readline()
    upgrade_tenants()
"""


def a_tree(folder: Path) -> Path:
    """Copy the tenant tree, and answer where its later revisions go."""
    shutil.copytree(REAL / "tenant", folder / "tenant")
    ini = (REAL / "alembic.ini").read_text().replace("%(here)s/shared", str(REAL / "shared"))
    (folder / "alembic.ini").write_text(ini.replace("%(here)s/..", str(REAL.parent)))
    run._INI = folder / "alembic.ini"
    return folder / "tenant" / "versions"


def release(versions: Path, number: int, before: str) -> str:
    """Add a revision to the tree and keep its scripts, as `migrate` does before it fans out."""
    revision = f"9{number:03}"
    text = REVISION.format(revision=revision, before=before)
    (versions / f"{revision}_later.py").write_text(text)
    with owner_engine().begin() as connection:
        run._release_tenant_tree(connection)
    return revision


def fanned_out(tenants: int, head: str, *, runners: int) -> float:
    """Answer how many tenants a second the runners bring to the head."""
    started = [
        subprocess.Popen(
            [sys.executable, "-c", RUNNER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )
        for _ in range(runners)
    ]
    hear(started, "ready")
    began = time.perf_counter()
    for each in started:
        each.stdin.write("begin\n")
    hear(started, "done")
    seconds = time.perf_counter() - began
    for each in started:
        each.communicate("end\n")
    with owner_engine().connect() as connection:
        at_head = select(func.count()).where(TenantSchema.revision == head)
        assert connection.scalar(at_head) == tenants
    return tenants / seconds


def hear(started: list["subprocess.Popen[str]"], word: str) -> None:
    assert [each.stdout.readline().strip() for each in started] == [word] * len(started)


def one_by_one(tenants: list[UUID]) -> float:
    """Answer how many tenants a second Alembic upgrades by itself, in one process."""
    began = time.perf_counter()
    for tenant in tenants:
        config = run._config("tenant")
        config.cmd_opts = Namespace(x=[f"schema={tenant_role(tenant)}"])
        command.upgrade(config, "head")
    return len(tenants) / (time.perf_counter() - began)


def many_tenants(count: int) -> list[UUID]:
    made = [uuid4() for _ in range(count)]
    for tenant in made:
        provision(tenant)
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tenants", type=int, default=1_000)
    parser.add_argument("--plain", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    logging.getLogger("alembic").setLevel(logging.WARNING)
    rates: dict[str, list[float]] = {"one runner": [], "two runners": [], "Alembic": []}
    with servers(), tempfile.TemporaryDirectory() as folder:
        versions = a_tree(Path(folder))
        plain = many_tenants(options.plain)
        with owner_engine().begin() as connection:
            run_script(connection, "DELETE FROM neozork.tenant_schemas")
        many_tenants(options.tenants)
        head = "0001"
        for number in range(options.rounds):
            head = release(versions, 2 * number, head)
            rates["one runner"].append(fanned_out(options.tenants, head, runners=1))
            rates["Alembic"].append(one_by_one(plain))
            head = release(versions, 2 * number + 1, head)
            rates["two runners"].append(fanned_out(options.tenants, head, runners=2))
            one_by_one(plain)
            print({name: each[-1:] for name, each in rates.items()}, flush=True)
    ours = statistics.median(rates["one runner"])
    print(f"| {options.tenants} tenants, one revision | tenants/s | one runner against it |")
    print("|---|---:|---:|")
    for name, each in rates.items():
        rate = statistics.median(each)
        print(f"| {name} | {rate:,.0f} | {ours / rate:.2f} |")


if __name__ == "__main__":
    main()
