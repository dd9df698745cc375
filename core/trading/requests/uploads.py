"""Bar sets as their owners handle them: upload, look, list."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sqlalchemy import select

from core.clock import iso
from core.errors import Fault, InvalidInputError, NotFoundError, TooLargeError
from core.jobs.kinds import IMPORT_BARS
from core.jobs.models import Job
from core.jobs.submit import submit_job
from core.storage.blobs import BlobStore
from core.storage.keys import tenant_key
from core.tenancy.pages import Page, read_page
from core.tenancy.session import TenantSession
from core.trading.bars.timeframes import LABELS
from core.trading.models import BarSet
from core.trading.requests.standing import of_status
from core.usage.quotas import current_plan

LONGEST_SYMBOL = 32
LONGEST_NAME = 200
_STAMPS = ("open", "close")
_MB = 1_000_000


@dataclass(frozen=True, slots=True)
class Upload:
    """A file of bars as it was sent, and how it is to be read.

    `timezone`: an IANA name for times without an offset. `stamp`: whether the file stamps a bar
    by its open or its close. `lot`: the smallest unit traded, 0 for fractions.
    """

    file_name: str
    size: int
    symbol: str
    timeframe: str
    name: str | None = None
    timezone: str | None = None
    stamp: str = "open"
    lot: float = 0.0


def check_upload(session: TenantSession, upload: Upload) -> None:
    """Raise for an upload that cannot be taken, before its bytes are stored.

    InvalidInputError lists every fault; TooLargeError names the plan's limit.
    """
    faults = list(_faults(upload))
    if faults:
        raise InvalidInputError("The upload's description is not valid.", errors=faults)
    refuse_larger(upload.size, current_plan(session).upload_mb)


def refuse_larger(size: int, limit_mb: int, *, spare: int = 0) -> None:
    """Raise TooLargeError for more bytes than a plan's megabytes and what may come beside them."""
    if size > limit_mb * _MB + spare:
        raise TooLargeError(
            f"The file has {size / _MB:.1f} MB; your plan takes {limit_mb} MB. Send it as "
            "Parquet, split it, or move to a larger plan.",
            limit_mb=limit_mb,
        )


def store_upload(store: BlobStore, tenant_id: UUID, path: Path) -> str:
    """Store an uploaded file under the tenant's own prefix and answer its key."""
    key = tenant_key(tenant_id, "uploads", str(uuid4()))
    store.put_file(key, path)
    return key


def request_import(
    session: TenantSession, *, upload: Upload, upload_key: str, created_by: UUID
) -> dict[str, Any]:
    """Keep an upload and queue the job that reads it; answer the bar set as published."""
    bar_set = BarSet(
        name=upload.name or f"{upload.symbol} {upload.timeframe}",
        symbol=upload.symbol,
        timeframe=upload.timeframe,
        timezone=upload.timezone,
        stamp=upload.stamp,
        lot=upload.lot,
        file_name=upload.file_name,
        upload_key=upload_key,
        upload_bytes=upload.size,
        created_by=created_by,
    )
    session.add(bar_set)
    session.flush()
    bar_set.job_id = submit_job(
        session,
        kind=IMPORT_BARS,
        args={"bar_set_id": str(bar_set.id)},
        key=str(bar_set.id),
        created_by=created_by,
    )
    return {"id": str(bar_set.id), "job_id": str(bar_set.job_id), "status": "queued"}


def get_bar_set(session: TenantSession, bar_set_id: UUID) -> dict[str, Any]:
    """Answer a bar set with its certificate; NotFoundError where it is not there."""
    bar_set = session.get(BarSet, bar_set_id)
    if bar_set is None:
        raise NotFoundError("There is no data of this id.", code="data_not_found")
    job = session.get(Job, bar_set.job_id) if bar_set.job_id else None
    return {
        **listed_bar_set(bar_set),
        # An ended job's row is deleted one day; what it made stays.
        "status": job.status if job else ("succeeded" if bar_set.data_key else "failed"),
        "error": job.error if job and job.status == "failed" else None,
        "certificate": bar_set.certificate,
    }


def list_bar_sets(
    session: TenantSession,
    *,
    limit: int,
    cursor: str | None = None,
    status: str | None = None,
) -> Page[BarSet]:
    """Answer a page of the bar sets, newest first, of one status if asked."""
    return read_page(
        session,
        of_status(select(BarSet), status, made=BarSet.data_key),
        by=(BarSet.created_at, BarSet.id),
        limit=limit,
        cursor=cursor,
    )


def listed_bar_set(bar_set: BarSet) -> dict[str, Any]:
    """Answer a bar set as a row of a list; its facts are null until it was read.

    `first` and `last` are shown as the certificate does: dates for bars that came with dates.
    """
    certificate = bar_set.certificate or {}
    return {
        "id": str(bar_set.id),
        "job_id": str(bar_set.job_id),
        "name": bar_set.name,
        "symbol": bar_set.symbol,
        "timeframe": bar_set.timeframe,
        "rows": bar_set.rows,
        "first": certificate.get("first"),
        "last": certificate.get("last"),
        "data_hash": bar_set.data_hash,
        "lot": bar_set.lot,
        "created_at": iso(bar_set.created_at),
    }


def _faults(upload: Upload) -> "list[Fault]":
    faults = []
    if not 0 < len(upload.symbol) <= LONGEST_SYMBOL or not upload.symbol.isprintable():
        text = f"A symbol has 1 to {LONGEST_SYMBOL} printable characters."
        faults.append(Fault("/symbol", "out_of_range", text))
    if upload.timeframe not in LABELS:
        hint = f"Take one of {', '.join(LABELS)}."
        faults.append(Fault("/timeframe", "bad_timeframe", "This is no timeframe of ours.", hint))
    if upload.stamp not in _STAMPS:
        faults.append(Fault("/stamp", "one_of", "A file stamps bars by their open or close."))
    named = {"/name": upload.name, "/file": upload.file_name}
    for path, name in named.items():
        if name is not None and not (0 < len(name) <= LONGEST_NAME and name.isprintable()):
            text = f"A name has 1 to {LONGEST_NAME} printable characters."
            faults.append(Fault(path, "out_of_range", text))
    if upload.timezone is not None and not _is_zone(upload.timezone):
        hint = "Take an IANA name, such as America/New_York or UTC."
        faults.append(Fault("/timezone", "unknown_timezone", "There is no such timezone.", hint))
    if not 0 <= upload.lot < float("inf"):
        faults.append(Fault("/lot", "out_of_range", "A lot is 0 or more."))
    if upload.size == 0:
        faults.append(Fault("/file", "no_rows", "The file is empty."))
    return faults


def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True
