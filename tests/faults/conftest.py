from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from core.valkey import get_valkey
from tests.conftest import _superuser
from tests.faults.stage import Stage
from tests.faults.witnesses import WITNESSES


@pytest.fixture(scope="module")
def looking(database: str) -> Iterator["psycopg.Connection[tuple[object, ...]]"]:
    with _superuser(database) as connection:
        connection.execute(WITNESSES)
        yield connection
        connection.execute("DROP SCHEMA faults CASCADE")


@pytest.fixture
def stage(
    request: pytest.FixtureRequest,
    looking: "psycopg.Connection[tuple[object, ...]]",
    tmp_path: Path,
) -> Iterator[Stage]:
    request.getfixturevalue("quiet_jobs")
    get_valkey().flushdb()
    stage = Stage(looking, tmp_path)
    yield stage
    stage.end()
