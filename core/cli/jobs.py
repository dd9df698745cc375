"""`neozork jobs …`: an operator's view of everybody's jobs, and the levers."""

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import UUID

import click

_PAGE = 50
_DEAD = "Take --all, or say which: job ids, --tenant, --kind, --error-code, --from, --to."


def _choosing(command: Callable[..., None]) -> Callable[..., None]:
    moment = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S%z"])
    for option in (
        click.option("--to", "created_to", type=moment, help="Asked for before; UTC."),
        click.option("--from", "created_from", type=moment, help="Asked for since; UTC."),
        click.option("--error-code", help="The code of their error."),
        click.option("--kind", help="Such as trading.backtest."),
        click.option("--tenant", "slug", help="A firm's slug."),
    ):
        command = option(command)
    return command


@click.group()
def jobs() -> None:
    """Look at jobs, try them again, let them go, pause and resume."""


@jobs.command("list")
@_choosing
@click.option("--status", help="queued, running, failed, …")
@click.option("--queue", help="interactive, bulk, money or housekeeping.")
@click.option("--limit", type=click.IntRange(1, 100), default=_PAGE, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="A JSON document a line.")
def show_list(
    *, as_json: bool, status: str | None, queue: str | None, limit: int, **given: Any
) -> None:
    """List jobs, newest first."""
    from core.jobs.control import list_jobs
    from core.jobs.models import STATUSES
    from core.jobs.pauses import refuse_unknown_queue
    from core.tenancy.session import open_platform_session

    if status is not None and status not in STATUSES:
        raise click.BadParameter(f"take one of {', '.join(STATUSES)}.", param_hint="--status")
    if queue is not None:
        refuse_unknown_queue(queue)
    chosen = _chosen(status=status, queue=queue, **given)
    with open_platform_session() as session:
        page = list_jobs(session, chosen=chosen, limit=limit)
        documents = [_document(job) for job in page.items]
    for document in documents:
        click.echo(json.dumps(document) if as_json else _line(document))
    if not as_json:
        click.echo(f"{len(documents)} of {page.total_count:,}", err=True)


@jobs.command("show")
@click.argument("job_id", type=click.UUID)
def show_one(job_id: UUID) -> None:
    """Show one job whole."""
    from core.jobs.control import get_job
    from core.tenancy.session import open_platform_session

    with open_platform_session() as session:
        job = get_job(session, job_id)
        document = _document(job) | {"args": job.args, "failures": job.failures, "key": job.key}
    click.echo(json.dumps(document, indent=2))


@jobs.command("cancel")
@click.argument("job_ids", type=click.UUID, nargs=-1, required=True)
def cancel(job_ids: tuple[UUID, ...]) -> None:
    """Cancel jobs that have not ended."""
    from core.jobs.control import announce_job, cancel_job
    from core.tenancy.session import open_platform_session

    for job_id in job_ids:
        with open_platform_session() as session:
            job = cancel_job(session, job_id)
        announce_job(job)
        click.echo(f"{job_id} cancelled")


@jobs.command("retry")
@click.argument("job_ids", type=click.UUID, nargs=-1)
@_choosing
@click.option("--all", "everything", is_flag=True, help="Every failed job.")
def retry(job_ids: tuple[UUID, ...], *, everything: bool, **given: Any) -> None:
    """Queue failed jobs again, with their failures forgotten."""
    from core.jobs.dead_letters import retry_failed

    _move(retry_failed, "queued again", job_ids, everything=everything, **given)


@jobs.command("discard")
@click.argument("job_ids", type=click.UUID, nargs=-1)
@_choosing
@click.option("--all", "everything", is_flag=True, help="Every failed job.")
def discard(job_ids: tuple[UUID, ...], *, everything: bool, **given: Any) -> None:
    """Let failed jobs go; each keeps its error until it is deleted."""
    from core.jobs.dead_letters import discard_failed

    _move(discard_failed, "discarded", job_ids, everything=everything, **given)


@jobs.command("pause")
@click.option("--queue", help="interactive, bulk, money or housekeeping.")
@click.option("--tenant", "slug", help="A firm's slug.")
def pause(queue: str | None, slug: str | None) -> None:
    """Hand out nothing more of a queue or of a firm; what runs ends, the rest waits."""
    _set_paused(queue, slug, paused=True)


@jobs.command("resume")
@click.option("--queue", help="interactive, bulk, money or housekeeping.")
@click.option("--tenant", "slug", help="A firm's slug.")
def resume(queue: str | None, slug: str | None) -> None:
    """Hand out again what waits."""
    _set_paused(queue, slug, paused=False)


def _set_paused(queue: str | None, slug: str | None, *, paused: bool) -> None:
    from core.jobs.pauses import pause_queue, pause_tenant, resume_queue
    from core.tenancy.session import open_platform_session

    if (queue is None) == (slug is None):
        raise click.UsageError("Say either --queue or --tenant.")
    with open_platform_session() as session:
        if queue is not None:
            (pause_queue if paused else resume_queue)(session, queue)
        if slug is not None:
            pause_tenant(session, _tenant_id(slug), paused=paused)
    click.echo(f"{queue or slug} {'paused' if paused else 'resumed'}")


def _move(
    move: Callable[..., list[UUID]],
    what: str,
    job_ids: tuple[UUID, ...],
    *,
    everything: bool,
    **given: Any,
) -> None:
    from core.jobs.control import jobs_by_id
    from core.jobs.tending import announce_moved
    from core.tenancy.session import open_platform_session

    if not (everything or job_ids or any(given.values())):
        raise click.UsageError(_DEAD)
    chosen = _chosen(ids=job_ids or None, **given)
    moved = 0
    while True:
        with open_platform_session() as session:
            batch = jobs_by_id(session, move(session, chosen))
        announce_moved(batch)
        moved += len(batch)
        if not batch:
            break
    click.echo(f"{moved:,} jobs {what}")


def _chosen(*, slug: str | None, **given: Any) -> Any:
    from datetime import UTC

    from core.jobs.control import JobFilter

    for name in ("created_from", "created_to"):
        moment: datetime | None = given[name]
        if moment is not None and moment.tzinfo is None:
            given[name] = moment.replace(tzinfo=UTC)
    return JobFilter(tenant_id=_tenant_id(slug) if slug else None, **given)


def _tenant_id(slug: str) -> UUID:
    from core.tenancy.resolution import tenant_id_of
    from core.tenancy.session import open_platform_session

    with open_platform_session() as session:
        return tenant_id_of(session, slug)


def _document(job: Any) -> dict[str, Any]:
    from core.jobs.control import job_document

    return {**job_document(job), "tenant_id": str(job.tenant_id), "queue": job.queue}


def _line(document: dict[str, Any]) -> str:
    error = document["error"] or {}
    return "  ".join(
        (
            document["id"],
            document["created_at"],
            f"{document['status']:<10}",
            f"{document['kind']:<20}",
            f"{document['progress']:>4.0%}",
            error.get("code", document["message"] or ""),
        )
    ).rstrip()
