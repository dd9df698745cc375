"""A later release of the tenant tree: the real one and one revision more, in a folder."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import migrations

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


def start_migrate(ini: Path = REAL / "alembic.ini") -> "subprocess.Popen[str]":
    """Start a release's `migrate` in a process of its own."""
    program = (
        "import sys; from pathlib import Path; from migrations import run;"
        f"run._INI = Path({str(ini)!r}); sys.exit(run.main())"
    )
    return subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ.copy(),
        cwd=REAL.parent,
    )
