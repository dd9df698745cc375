"""Blobs in a folder, in S3, or in memory: one door, whatever is behind it.

A write is seen whole or not at all, and replaces what was there. Keys: `core.storage.keys`.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit
from uuid import UUID

import obstore
from obstore.exceptions import BaseError
from obstore.store import LocalStore, MemoryStore, ObjectStore, S3Store

from core.errors import ConfigurationError, NotFoundError, UnavailableError
from core.storage.folder import folder_of, make_folder, refuse_absent
from core.storage.keys import checked_key, checked_prefix, tenant_key

if TYPE_CHECKING:
    from obstore.store import S3Config

_CHUNK_BYTES = 8 << 20
_TIMEOUT = "60s"
_CONNECT_TIMEOUT = "5s"


@dataclass(frozen=True, slots=True)
class BlobInfo:
    """One stored blob: its key and its length in bytes."""

    key: str
    size: int


@dataclass(frozen=True, slots=True)
class Usage:
    """What lies under a prefix: how many blobs, and their bytes together."""

    count: int
    size: int


@dataclass(frozen=True, slots=True)
class AwsSettings:
    """How S3 is reached; both keys are needed.

    `endpoint`: for stores that speak S3 and are not Amazon's; `http://` is accepted there.
    """

    access_key_id: str | None = None
    secret_access_key: str | None = None
    region: str = "us-east-1"
    endpoint: str | None = None
    max_retries: int = 3


class BlobStore:
    """Reads and writes blobs; safe to share between threads.

    Raises NotFoundError where a key has no blob, UnavailableError where the store does not
    answer or cannot write, InvalidInputError (`bad_key`) for what is no key. `folder`: where the
    blobs lie, looked for at each use.
    """

    def __init__(self, store: ObjectStore, *, folder: Path | None = None) -> None:
        self._store = store
        self._folder = folder

    def put(self, key: str, data: bytes) -> None:
        """Store the bytes under the key, in place of what was there."""
        with self._using(checked_key(key)):
            obstore.put(self._store, key, data)

    def put_file(self, key: str, path: Path) -> None:
        """Store a file's bytes, in parts of 8 MiB, so that it is never in memory whole."""
        with self._using(checked_key(key)), path.open("rb") as file:
            obstore.put(self._store, key, file, chunk_size=_CHUNK_BYTES)

    def put_content(self, tenant_id: UUID, kind: str, data: bytes) -> str:
        """Store bytes under their own SHA-256 and answer the key; what is there stays."""
        key = tenant_key(tenant_id, kind, hashlib.sha256(data).hexdigest())
        if self.size(key) != len(data):
            self.put(key, data)
        return key

    def get(self, key: str) -> bytes:
        """Answer the blob's bytes."""
        with self._using(checked_key(key)):
            return bytes(obstore.get(self._store, key).bytes())

    def stream(self, key: str) -> Iterator[bytes]:
        """Yield the blob's bytes in order, in parts of about 8 MiB."""
        with self._using(checked_key(key)):
            for part in obstore.get(self._store, key).stream(min_chunk_size=_CHUNK_BYTES):
                yield bytes(part)

    def size(self, key: str) -> int | None:
        """Answer the blob's length in bytes, None where there is none."""
        try:
            with self._using(checked_key(key)):
                return int(obstore.head(self._store, key)["size"])
        except NotFoundError:
            return None

    def delete(self, key: str) -> None:
        """Remove the blob; that there is none is no error, so that it can be repeated."""
        try:
            with self._using(checked_key(key)):
                obstore.delete(self._store, key)
        except NotFoundError:
            return

    def list(self, prefix: str) -> Iterator[BlobInfo]:
        """Yield the blobs under a prefix such as `<tenant id>/bars/`, in order of their keys."""
        found: list[BlobInfo] = []
        with self._using(checked_prefix(prefix)):
            for page in obstore.list(self._store, prefix=prefix.removesuffix("/")):
                found += [BlobInfo(meta["path"], int(meta["size"])) for meta in page]
        yield from sorted(found, key=lambda blob: blob.key)

    def usage(self, prefix: str) -> Usage:
        """Answer how much lies under a prefix."""
        count = size = 0
        with self._using(checked_prefix(prefix)):
            for page in obstore.list(self._store, prefix=prefix.removesuffix("/")):
                count += len(page)
                size += sum(int(meta["size"]) for meta in page)
        return Usage(count, size)

    def delete_prefix(self, prefix: str) -> int:
        """Remove all blobs under a prefix and answer how many there were."""
        keys = [blob.key for blob in self.list(prefix)]
        for key in keys:
            self.delete(key)
        return len(keys)

    @contextmanager
    def _using(self, key: str) -> Iterator[None]:
        """Turn the library's errors into ours; an absent folder would answer that nothing is."""
        if self._folder is not None:
            refuse_absent(self._folder)
        try:
            yield
        except FileNotFoundError as error:
            raise NotFoundError(f"There is no blob {key}.") from error
        except (BaseError, OSError) as error:
            raise UnavailableError("The storage does not answer.") from error


def open_store(url: str, *, aws: AwsSettings | None = None, make: bool = True) -> BlobStore:
    """Open the store of a URL: `file:///var/lib/neozork/blobs`, `s3://bucket/prefix`, `memory://`.

    A folder is made where there is none, or, where `make` is False, is an absent service: raises
    UnavailableError. Nothing is sent until the first use. Raises ConfigurationError for another
    URL.
    """
    folder = folder_of(url)
    if folder is not None:
        return _in_folder(folder, make=make)
    parts = urlsplit(url)
    if parts.scheme == "memory":
        return BlobStore(MemoryStore())
    if parts.scheme == "s3" and parts.netloc:
        return BlobStore(_s3(parts.netloc, unquote(parts.path).strip("/"), aws or AwsSettings()))
    raise ConfigurationError(
        f"{parts.scheme or url!r} is no storage URL: use file:///folder or s3://bucket/prefix."
    )


def _in_folder(folder: Path, *, make: bool) -> BlobStore:
    if make:
        make_folder(folder)
    refuse_absent(folder)
    try:
        return BlobStore(LocalStore(prefix=folder), folder=folder)
    except (BaseError, OSError, ValueError) as error:
        raise UnavailableError("The storage does not answer.") from error


def _s3(bucket: str, prefix: str, aws: AwsSettings) -> S3Store:
    if not aws.access_key_id or not aws.secret_access_key:
        raise ConfigurationError("Storage in S3 needs an access key id and a secret access key.")
    config: S3Config = {
        "region": aws.region,
        "access_key_id": aws.access_key_id,
        "secret_access_key": aws.secret_access_key,
    }
    if aws.endpoint is not None:
        config["endpoint"] = aws.endpoint
    return S3Store(
        bucket,
        prefix=prefix or None,
        config=config,
        client_options={
            "allow_http": (aws.endpoint or "").startswith("http://"),
            "timeout": _TIMEOUT,
            "connect_timeout": _CONNECT_TIMEOUT,
        },
        retry_config={"max_retries": aws.max_retries},
    )
