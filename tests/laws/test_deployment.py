import shlex
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from core.jobs.kinds import QUEUES
from core.settings import Settings, load_settings

# Read by gunicorn's own configuration, before the application is there.
GUNICORNS = {"HOST", "WEB_CONCURRENCY"}
# What a secret or an address must be given is empty there, and is not set then.
PROCESSES = ("release", "web", "worker", "worker_money", "dispatcher", "scheduler")


def example() -> dict[str, str]:
    lines = Path(".env.example").read_text(encoding="utf-8").splitlines()
    pairs = (line.partition("=") for line in lines if line and not line.startswith("#"))
    return {name: value for name, _, value in pairs}


def procfile() -> dict[str, list[str]]:
    lines = Path("Procfile").read_text(encoding="utf-8").splitlines()
    return {name: shlex.split(line) for name, _, line in (text.partition(":") for text in lines)}


def compose() -> dict[str, Any]:
    document: dict[str, Any] = YAML(typ="safe").load(Path("compose.yaml"))
    return document


def test_every_setting_is_explained_and_nothing_else() -> None:
    assert set(example()) - GUNICORNS == {name.upper() for name in Settings.model_fields}


def test_the_example_says_what_holds_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    assert load_settings(Path(".env.example")) == load_settings(None)


def test_the_procfile_names_every_process() -> None:
    assert tuple(procfile()) == PROCESSES


def test_money_has_a_process_of_its_own_and_every_queue_has_one() -> None:
    works = [line for line in procfile().values() if "work" in line]
    queues = [line[line.index("--queues") + 1].split(",") for line in works]
    assert ["money"] in queues
    assert sorted(queue for named in queues for queue in named) == sorted(QUEUES)


def test_compose_runs_the_lines_of_the_procfile() -> None:
    services = compose()["services"]
    lines = procfile()
    for name in ("release", "worker", "worker_money", "dispatcher", "scheduler"):
        command = services[name.replace("_", "-")]["command"]
        assert shlex.join(command) == shlex.join(lines[name]), name
    assert "command" not in services["saas-api"]
    dockerfile = Path("Dockerfile").read_text(encoding="utf-8")
    assert f"CMD {lines['web']}".replace("'", '"') in dockerfile


def test_compose_sets_what_settings_know() -> None:
    named = set(compose()["x-process"]["environment"])
    assert named <= {name.upper() for name in Settings.model_fields}
    assert compose()["services"]["saas-api"]["ports"] == ["8000:8000"]
