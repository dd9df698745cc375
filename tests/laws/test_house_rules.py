import shutil
from pathlib import Path

import pytest

from tests.laws.house_rules import PRODUCT, findings

LONG_FUNCTION = "def long() -> None:\n" + "    pass\n" * 61
PLANTED = {
    "commits": ("core/usage/planted.py", "def end(session):\n    session.commit()\n"),
    "raw_sql": ("core/usage/planted.py", "from sqlalchemy import text\nASK = text('SELECT 1')\n"),
    "clocks": ("core/usage/planted.py", "from datetime import datetime\nNOW = datetime.now()\n"),
    "names": ("core/usage/helpers.py", ""),
    "file_sizes": ("core/usage/planted.py", "X = 1\n" * 401),
    "function_sizes": ("core/usage/planted.py", LONG_FUNCTION),
    "comments": ("core/usage/planted.py", "# so\n# it\n# is\nX = 1\n"),
    "suppressions": ("core/usage/planted.py", "X = 1  # noqa: E501\n" * 9),
    "actors": ("workers/actors/planted.py", "def act(job_id: int) -> None:\n    pass\n"),
    "mirrors": ("tests/core/usage/test_planted.py", ""),
}


@pytest.fixture
def a_copy(tmp_path: Path) -> Path:
    for folder in (*PRODUCT, "tests", "benchmarks"):
        shutil.copytree(folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


@pytest.mark.parametrize("rule", PLANTED)
def test_a_planted_fault_is_found(rule: str, a_copy: Path) -> None:
    path, text = PLANTED[rule]
    (a_copy / path).parent.mkdir(parents=True, exist_ok=True)
    (a_copy / path).write_text(text, encoding="utf-8")
    assert [finding.partition(":")[0] for finding in findings(a_copy)] == [rule]


def test_this_tree_keeps_every_rule() -> None:
    assert findings(Path()) == []
