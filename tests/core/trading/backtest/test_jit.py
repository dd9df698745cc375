from pathlib import Path

import numba
import pytest

from core.trading.backtest import jit


def test_machine_code_is_kept_by_the_content_of_its_sources(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    source = tmp_path / "rule.py"
    source.write_text("@compiled\n", encoding="utf-8")
    monkeypatch.setattr(jit, "_FOLDERS", (tmp_path,))
    before = jit.cache_directory()
    source.write_text("@compiled\n\n", encoding="utf-8")
    assert jit.cache_directory() != before
    unrelated = jit.cache_directory()
    (tmp_path / "prose.py").write_text("pass\n", encoding="utf-8")
    assert jit.cache_directory() == unrelated


def test_the_base_of_the_cache_is_the_operators_choice(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    assert jit.cache_directory().parent == tmp_path
    monkeypatch.delenv("NUMBA_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert jit.cache_directory().is_relative_to(tmp_path)


def test_nothing_is_compiled_with_shortcuts_in_arithmetic() -> None:
    @jit.compiled
    def add(x: float) -> float:
        return x + 1.0

    options = add.targetoptions
    assert (options["fastmath"], options["nogil"]) == (False, True)
    assert Path(numba.config.CACHE_DIR).name == jit.source_fingerprint()[:16]
