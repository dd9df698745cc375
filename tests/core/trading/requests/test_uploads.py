from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from core.errors import InvalidInputError, TooLargeError
from core.storage.blobs import open_store
from core.tenancy.session import open_session
from core.trading.requests.uploads import Upload, check_upload, refuse_larger, store_upload
from tests.builders import a_tenant

pytestmark = pytest.mark.usefixtures("database")


def an_upload(**changes: Any) -> Upload:
    return Upload(**{"file_name": "a.csv", "size": 1, "symbol": "A", "timeframe": "1d"} | changes)


def test_a_file_may_have_as_many_bytes_as_the_plan_says_and_no_more() -> None:
    refuse_larger(50_000_000, 50)
    refuse_larger(50_000_010, 50, spare=10)
    with pytest.raises(TooLargeError) as raised:
        refuse_larger(50_000_001, 50)
    assert raised.value.more == {"limit_mb": 50}


def test_the_plan_is_that_of_the_tenant_as_its_row_says_now() -> None:
    with open_session(a_tenant(tier="professional")) as session:
        check_upload(session, an_upload(size=200_000_000))
        with pytest.raises(TooLargeError):
            check_upload(session, an_upload(size=200_000_001))


def test_every_fault_is_named_at_once() -> None:
    bad = an_upload(
        file_name="a\0",
        size=0,
        symbol="",
        timeframe="",
        name="",
        timezone="x",
        stamp="x",
        lot=float("nan"),
    )
    with open_session(a_tenant()) as session, pytest.raises(InvalidInputError) as raised:
        check_upload(session, bad)
    paths = [fault.path for fault in raised.value.errors]
    assert set(paths) == {
        "/file",
        "/symbol",
        "/timeframe",
        "/name",
        "/timezone",
        "/stamp",
        "/lot",
    }
    assert paths.count("/file") == 2


def test_an_upload_lies_under_its_tenant(tmp_path: Path) -> None:
    path = tmp_path / "upload"
    path.write_bytes(b"x")
    store, tenant = open_store("memory://"), uuid4()
    key = store_upload(store, tenant, path)
    assert key.startswith(f"{tenant}/uploads/")
    assert store.get(key) == b"x"
