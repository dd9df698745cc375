import shutil
import subprocess
import sys
from pathlib import Path

import pytest

# A module to add, the import that it may not have, and the contract that says so.
PLANTED = {
    "doors": ("web/planted.py", "import workers.main"),
    "rooms": ("core/jobs/planted.py", "import core.identity.members"),
    "an unplaced room": ("core/planted/__init__.py", ""),
    "cycles": ("core/tenancy/models.py", "import core.tenancy.session"),
    "actors": ("workers/actors/trading.py", "import workers.actors.tenancy"),
    "web-stays-light": ("core/trading/requests/results.py", "import pyarrow"),
    "doors-ask-core": ("workers/planted.py", "import sqlalchemy"),
    "core-knows-no-edge": ("core/jobs/planted.py", "import dramatiq"),
    "computing-is-pure": ("core/trading/backtest/planted.py", "import core.settings"),
}


@pytest.mark.parametrize("fault", PLANTED)
def test_a_planted_import_breaks_its_contract(fault: str, tmp_path: Path) -> None:
    for folder in ("core", "web", "workers", "scheduler", "migrations"):
        shutil.copytree(folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy("pyproject.toml", tmp_path)
    assert contracts(tmp_path) == 0
    path, line = PLANTED[fault]
    (tmp_path / path).parent.mkdir(exist_ok=True)
    with (tmp_path / path).open("a", encoding="utf-8") as file:
        file.write(f"\n{line}\n")
    assert contracts(tmp_path) == 1


def contracts(root: Path) -> int:
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    return subprocess.run(command, cwd=root, check=False, capture_output=True).returncode
