import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.local.account import Account
from core.local.postgres import LocalPostgres


@pytest.fixture
def folder() -> Iterator[Path]:
    made = Account.current().fresh_folder("pg-")
    yield made
    shutil.rmtree(made)


def test_a_start_that_was_cut_short_at_any_step_is_made_good_by_the_next(folder: Path) -> None:
    postgres = LocalPostgres(Account.current(), folder / "postgres", folder / "s")
    (folder / "postgres" / "making").mkdir(parents=True)
    (folder / "postgres" / "making" / "PG_VERSION").write_text("18")
    postgres.start()
    with postgres.connect_as_superuser() as connection:
        connection.execute("DROP DATABASE neozork")
    postgres.stop()
    postgres.start()
    try:
        with postgres.connect_as_superuser("neozork") as connection:
            row = connection.execute(
                "SELECT rolcreaterole FROM pg_roles WHERE rolname = %s", ["neozork_owner"]
            ).fetchone()
        assert row == (True,)
    finally:
        postgres.stop()
