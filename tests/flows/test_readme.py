import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from core.local.platform import ROOT, Platform

pytestmark = pytest.mark.xdist_group("platform")


def first_session() -> str:
    """Answer the shell lines of the README's first session."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    return readme.partition("```bash\n")[2].partition("```")[0]


def test_the_first_session_works_as_it_is_written(platform: Platform, tmp_path: Path) -> None:
    lines = first_session()
    assert "API=http://localhost:8000/api/v1" in lines
    script = lines.replace("http://localhost:8000", platform.url)
    script = script.replace(".venv/bin/python", shlex.quote(sys.executable))
    script = script.replace("> AAPL.csv", f"> {tmp_path}/AAPL.csv").replace(
        "file=@AAPL.csv", f"file=@{tmp_path}/AAPL.csv"
    )
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert '"status": "succeeded"' in done.stdout
    assert '"verdict": "untested"' in done.stdout
    assert "symbol,side,entry_bar" in done.stdout
    assert '"cells_done": 12' in done.stdout


def test_what_the_documents_have_one_write_is_no_change_to_git() -> None:
    texts = [(ROOT / name).read_text("utf-8") for name in ("README.md", "docs/api/README.md")]
    written = {name for text in texts for name in re.findall(r"> ([\w.]+)$", text, re.MULTILINE)}
    assert {"AAPL.csv", "EURUSD.csv", "answer.json"} <= written
    ignored = (ROOT / ".gitignore").read_text("utf-8").splitlines()
    assert {f"/{name}" for name in written} <= set(ignored)
