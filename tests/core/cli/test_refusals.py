"""What the real command says where it cannot do what was asked."""

import os
import subprocess
import sys

import pytest

from tests.programs import PATIENCE_S


def neozork(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    alone = {"PATH": "", "HOME": os.environ["HOME"], "NEOZORK_ENV_FILE": ""}
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        env=alone | environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


@pytest.mark.parametrize("command", [["work"], ["dispatch"], ["schedule"], ["jobs", "list"]])
def test_a_setting_that_lacks_is_named_in_a_line(command: list[str]) -> None:
    refused = neozork(*command)
    assert (refused.returncode, refused.stdout) == (1, "")
    (line,) = refused.stderr.splitlines()
    assert line.startswith("neozork: DATABASE_URL is not set.")


@pytest.mark.parametrize("command", [["work"], ["dispatch"], ["schedule"]])
def test_a_service_needs_valkey_too(command: list[str]) -> None:
    refused = neozork(*command, APP_DATABASE_URL="postgresql://x:y@/z?host=/nowhere")
    assert refused.returncode == 1
    assert refused.stderr.startswith("neozork: REDIS_URL is not set.")


@pytest.mark.parametrize("command", [["work"], ["migrate"], ["jobs", "list"]])
def test_a_file_of_settings_that_is_not_there_is_named(command: list[str]) -> None:
    refused = neozork(*command, NEOZORK_ENV_FILE="/nowhere/settings.env")
    assert (refused.returncode, refused.stdout) == (1, "")
    (line,) = refused.stderr.splitlines()
    assert line.startswith("neozork: NEOZORK_ENV_FILE names /nowhere/settings.env, and there is no")


@pytest.mark.parametrize("options", [[], ["--status"], ["--status", "--json"]])
def test_a_database_that_is_away_is_told_in_a_line(options: list[str]) -> None:
    refused = neozork("migrate", *options, DATABASE_URL="postgresql://x:secret@127.0.0.1:1/z")
    assert (refused.returncode, refused.stdout) == (1, "")
    (line,) = refused.stderr.splitlines()
    assert line.startswith("neozork migrate: The database cannot be reached: ")
    assert line.endswith("Connection refused")


def test_every_fault_of_an_input_is_a_line_for_people() -> None:
    refused = neozork("createsuperuser", "--email", "nobody", "--password", "short")
    assert (refused.returncode, refused.stdout) == (1, "")
    first, mail, password = refused.stderr.splitlines()
    assert first == "neozork: The operator cannot be made."
    assert mail.startswith("  /email: ")
    assert password.startswith("  /password: The password has 5 characters")
