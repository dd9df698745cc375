import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import UUID

import pytest

from core.errors import ConfigurationError, InvalidInputError, NotFoundError, UnavailableError
from core.storage.blobs import AwsSettings, BlobInfo, BlobStore, Usage, open_store
from core.storage.folder import MARK
from core.storage.keys import tenant_key, tenant_prefix

ONE = UUID("0192f0c1-2a3b-7c4d-8e5f-000000000001")
OTHER = UUID("0192f0c1-2a3b-7c4d-8e5f-000000000002")
NAME = tenant_key(ONE, "bars", "a")


@pytest.fixture(params=["folder", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> BlobStore:
    return open_store("memory://" if request.param == "memory" else f"file://{tmp_path}/blobs")


def test_what_was_put_is_got(store: BlobStore) -> None:
    for data in (b"", b"bars", bytes(range(256)) * 50_000):
        store.put(NAME, data)
        assert store.get(NAME) == data
        assert b"".join(store.stream(NAME)) == data
        assert store.size(NAME) == len(data)


def test_a_put_replaces(store: BlobStore) -> None:
    store.put(NAME, b"first and longer")
    store.put(NAME, b"second")
    assert store.get(NAME) == b"second"


def test_a_missing_blob_is_not_found(store: BlobStore) -> None:
    with pytest.raises(NotFoundError):
        store.get(NAME)
    with pytest.raises(NotFoundError):
        list(store.stream(NAME))
    assert store.size(NAME) is None


def test_a_delete_may_be_repeated(store: BlobStore) -> None:
    store.put(NAME, b"x")
    store.delete(NAME)
    store.delete(NAME)
    assert store.size(NAME) is None


def test_a_list_is_in_order_and_knows_no_other_tenant(store: BlobStore) -> None:
    for name in ("c", "a", "b/1"):
        store.put(tenant_key(ONE, "bars", name), name.encode())
    store.put(tenant_key(ONE, "bars2", "x"), b"x")
    store.put(tenant_key(OTHER, "bars", "a"), b"secret")
    assert list(store.list(f"{ONE}/bars/")) == [
        BlobInfo(f"{ONE}/bars/a", 1),
        BlobInfo(f"{ONE}/bars/b/1", 3),
        BlobInfo(f"{ONE}/bars/c", 1),
    ]
    assert list(store.list(f"{ONE}/none/")) == []


def test_usage_is_the_sum_of_a_tenants_blobs(store: BlobStore) -> None:
    assert store.usage(tenant_prefix(ONE)) == Usage(0, 0)
    store.put(tenant_key(ONE, "bars", "a"), b"x" * 10)
    store.put(tenant_key(ONE, "results", "a"), b"x" * 5)
    store.put(tenant_key(OTHER, "bars", "a"), b"x" * 100)
    assert store.usage(tenant_prefix(ONE)) == Usage(2, 15)
    assert store.usage(f"{ONE}/bars/") == Usage(1, 10)


def test_a_tenants_blobs_go_together_and_nobody_elses(store: BlobStore) -> None:
    for number in range(5):
        store.put(tenant_key(ONE, "bars", f"{number}"), b"x")
    store.put(tenant_key(OTHER, "bars", "a"), b"x")
    assert store.delete_prefix(tenant_prefix(ONE)) == 5
    assert store.usage(tenant_prefix(ONE)) == Usage(0, 0)
    assert store.usage(tenant_prefix(OTHER)) == Usage(1, 1)


def test_content_is_stored_once_under_its_hash(store: BlobStore) -> None:
    key = store.put_content(ONE, "bars", b"bars")
    assert key == tenant_key(ONE, "bars", hashlib.sha256(b"bars").hexdigest())
    assert store.put_content(ONE, "bars", b"bars") == key
    assert store.usage(tenant_prefix(ONE)) == Usage(1, 4)


def test_content_of_a_wrong_length_is_mended(store: BlobStore) -> None:
    key = store.put_content(ONE, "bars", b"bars")
    store.put(key, b"b")
    store.put_content(ONE, "bars", b"bars")
    assert store.get(key) == b"bars"


def test_a_large_file_is_stored_in_parts(store: BlobStore, tmp_path: Path) -> None:
    path = tmp_path / "upload"
    path.write_bytes(b"0123456789abcdef" * (20 << 16))
    store.put_file(NAME, path)
    assert hashlib.sha256(store.get(NAME)).digest() == hashlib.sha256(path.read_bytes()).digest()
    assert b"".join(store.stream(NAME)) == path.read_bytes()


def test_concurrent_puts_leave_one_of_them_whole(store: BlobStore) -> None:
    datas = [bytes([n]) * 300_000 for n in range(8)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda data: store.put(NAME, data), datas))
    assert store.get(NAME) in datas


@pytest.mark.parametrize("key", ["", "../x", "/etc/passwd", f"{ONE}/../x", "bars/x"])
def test_what_is_no_key_reaches_no_store(store: BlobStore, key: str) -> None:
    for call in (store.get, store.delete, store.size):
        with pytest.raises(InvalidInputError):
            call(key)
    with pytest.raises(InvalidInputError):
        store.put(key, b"")


def test_a_folder_keeps_blobs_under_their_keys_and_nothing_else(tmp_path: Path) -> None:
    store = open_store(f"file://{tmp_path}/with%20space")
    store.put(NAME, b"x")
    found = [path for path in (tmp_path / "with space").rglob("*") if path.is_file()]
    assert set(found) == {tmp_path / "with space" / name for name in (NAME, MARK)}
    assert open_store(f"file://{tmp_path}/with%20space").get(NAME) == b"x"


@pytest.mark.parametrize("what", ["nothing", "an empty folder", "a file"])
def test_a_folder_that_is_away_is_unavailable_and_not_made_anew(tmp_path: Path, what: str) -> None:
    folder, elsewhere = tmp_path / "blobs", tmp_path / "elsewhere"
    store = open_store(f"file://{folder}")
    store.put(NAME, b"x")
    folder.rename(elsewhere)
    put_in_its_place(what, folder)
    before = sorted(tmp_path.iterdir())
    uses: list[Callable[[], object]] = [
        *(lambda call=call: call(NAME) for call in (store.get, store.size, store.delete)),
        lambda: list(store.stream(NAME)),
        lambda: list(store.list(tenant_prefix(ONE))),
        lambda: store.usage(tenant_prefix(ONE)),
        lambda: store.put(NAME, b"y"),
        lambda: open_store(f"file://{folder}", make=False),
    ]
    for use in uses:
        with pytest.raises(UnavailableError) as refused:
            use()
        assert str(tmp_path) not in str(refused.value.problem()), "tenants read this"
    assert sorted(tmp_path.iterdir()) == before
    clear(folder)
    elsewhere.rename(folder)
    assert store.get(NAME) == b"x", "it is there again, as it was"


def put_in_its_place(what: str, folder: Path) -> None:
    if what == "an empty folder":
        folder.mkdir()
    elif what == "a file":
        folder.touch()


def clear(folder: Path) -> None:
    if folder.is_dir():
        folder.rmdir()
    folder.unlink(missing_ok=True)


def test_a_folder_that_cannot_be_made_is_a_fault_of_the_installation(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match=f"{tmp_path}/file"):
        open_store(f"file://{tmp_path}/file")


def test_an_unreachable_s3_is_unavailable() -> None:
    aws = AwsSettings("id", "secret", endpoint="http://127.0.0.1:9", max_retries=0)
    store = open_store("s3://bucket/prefix", aws=aws)
    for call in (store.get, store.delete, store.size):
        with pytest.raises(UnavailableError):
            call(NAME)
    with pytest.raises(UnavailableError):
        store.usage(tenant_prefix(ONE))


@pytest.mark.parametrize(
    "url", ["", "blobs", "file://host/x", "file:relative", "s3://", "s3://bucket", "ftp://x/y"]
)
def test_a_url_that_cannot_be_used_is_a_fault_of_the_installation(url: str) -> None:
    with pytest.raises(ConfigurationError):
        open_store(url)
