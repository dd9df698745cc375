"""`neozork jobs …`: an operator's view of everybody's jobs, and the levers."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import click

from core.errors import ConflictError, InvalidInputError, NotFoundError
from core.jobs.kinds import KINDS, QUEUES, WHOLE_KINDS
from core.wording import counted

_PAGE = 50
_DEAD = "Take --all, or say which: job ids, --tenant, --kind, --error-code, --from, --to."
_EITHER = "Give job ids, or say what the jobs share; not both."
_ALL = "Beside --all, nothing can be chosen."
_QUEUE = click.Choice(QUEUES)


class _Moment(click.ParamType[datetime]):
    name = "time"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        """Read ISO 8601, in UTC where no offset is given."""
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            self.fail(
                f"{value!r} is no time. Write 2026-01-31, or 2026-01-31T09:30:00Z.", param, ctx
            )
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _kind(names: Iterable[str]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    kind = click.Choice(tuple(names))
    return click.option("--kind", type=kind, metavar="KIND", help="E.g. trading.backtest.")


def _choosing(command: Callable[..., None]) -> Callable[..., None]:
    moment = _Moment()
    for option in (
        click.option("--to", "created_to", type=moment, help="Asked for before."),
        click.option("--from", "created_from", type=moment, help="Asked for since; in UTC."),
        click.option("--error-code", help="The code of their error."),
        click.option("--tenant", "slug", help="A firm's slug or id."),
    ):
        command = option(command)
    return command


@click.group()
def jobs() -> None:
    """Look at jobs, try them again, let them go, pause and resume."""


@jobs.command("list")
@_choosing
@_kind(KINDS)
@click.option("--status", help="queued, running, failed, …")
@click.option("--queue", type=_QUEUE)
@click.option("--parent", "parent_id", type=click.UUID, help="Its parts, listed only so.")
@click.option("--limit", type=click.IntRange(1, 100), default=_PAGE, show_default=True)
@click.option("--cursor", help="Read on, from where a page before ended.")
@click.option("--json", "as_json", is_flag=True, help="A JSON document a line.")
def show_list(
    *,
    as_json: bool,
    status: str | None,
    parent_id: UUID | None,
    limit: int,
    cursor: str | None,
    **given: Any,
) -> None:
    """List jobs, newest first."""
    from core.jobs.control import get_job, list_jobs
    from core.jobs.models import STATUSES
    from core.tenancy.session import open_platform_session

    if status is not None and status not in STATUSES:
        raise click.BadParameter(f"take one of {', '.join(STATUSES)}.", param_hint="--status")
    chosen = _chosen(status=status, parent_id=parent_id, **given)
    with _asked_wrongly(), open_platform_session() as session:
        if parent_id is not None:
            get_job(session, parent_id)
        page = list_jobs(session, chosen=chosen, limit=limit, cursor=cursor)
        documents = _documents(session, page.items)
    for document in documents:
        click.echo(json.dumps(document) if as_json else _line(document))
    if not as_json:
        click.echo(f"{len(documents)} of {page.total_count:,}", err=True)
    if page.next_cursor is not None:
        click.echo(f"next: --cursor {page.next_cursor}", err=True)


@jobs.command("show")
@click.argument("job_id", type=click.UUID)
def show_one(job_id: UUID) -> None:
    """Show one job whole, of a parent how its parts stand too."""
    from core.jobs.control import count_parts, get_job
    from core.tenancy.session import open_platform_session

    with open_platform_session() as session:
        job = get_job(session, job_id)
        (document,) = _documents(session, [job])
        document |= {"args": job.args, "failures": job.failures, "key": job.key}
        if job.parent_id is not None:
            document["parent_id"] = str(job.parent_id)
        if job.parts is not None:
            by_status = count_parts(session, job.id)
            document |= {"parts": job.parts, "remaining": job.remaining, "by_status": by_status}
    click.echo(json.dumps(document, indent=2))


@jobs.command("cancel")
@click.argument("job_ids", type=click.UUID, nargs=-1, required=True)
def cancel(job_ids: tuple[UUID, ...]) -> None:
    """Cancel jobs that have not ended; exit status 1 where one could not be."""
    from core.jobs.control import cancel_job

    _one_by_one(cancel_job, "cancelled", job_ids)


@jobs.command("retry")
@click.argument("job_ids", type=click.UUID, nargs=-1)
@_choosing
@_kind(WHOLE_KINDS)
@click.option("--all", "everything", is_flag=True, help="Every failed job, of every firm.")
def retry(job_ids: tuple[UUID, ...], *, everything: bool, **given: Any) -> None:
    """Queue failed jobs again, with their failures forgotten.

    By its id a cancelled one too. Exit status 1 where a job of these ids was left alone.
    """
    from core.jobs.dead_letters import retry_failed, retry_job

    _move(retry_job, retry_failed, "queued again", job_ids, everything=everything, **given)


@jobs.command("discard")
@click.argument("job_ids", type=click.UUID, nargs=-1)
@_choosing
@_kind(WHOLE_KINDS)
@click.option("--all", "everything", is_flag=True, help="Every failed job, of every firm.")
def discard(job_ids: tuple[UUID, ...], *, everything: bool, **given: Any) -> None:
    """Let failed jobs go; each keeps its error until it is deleted.

    Exit status 1 where a job of these ids was left alone.
    """
    from core.jobs.dead_letters import discard_failed, discard_job

    _move(discard_job, discard_failed, "discarded", job_ids, everything=everything, **given)


@jobs.command("pause")
@click.option("--queue", type=_QUEUE)
@click.option("--tenant", "slug", help="A firm's slug or id.")
def pause(queue: str | None, slug: str | None) -> None:
    """Hand out nothing more of a queue or of a firm; what runs ends, the rest waits."""
    _set_paused(queue, slug, paused=True)


@jobs.command("resume")
@click.option("--queue", type=_QUEUE)
@click.option("--tenant", "slug", help="A firm's slug or id.")
def resume(queue: str | None, slug: str | None) -> None:
    """Hand out again what waits."""
    _set_paused(queue, slug, paused=False)


@jobs.command("paused")
def show_paused() -> None:
    """List the queues and firms that are paused, and suspended firms whose jobs wait."""
    from core.jobs.pauses import held_tenants, paused_queues, paused_tenants
    from core.tenancy.session import open_platform_session

    with open_platform_session() as session:
        queues, firms = paused_queues(session), paused_tenants(session)
        held = held_tenants(session)
    for what, names in (("queue", queues), ("tenant", firms), ("held", held)):
        for name in names:
            click.echo(f"{what:<8}{name}")
    told = " and ".join((counted(len(queues), "queue"), counted(len(firms), "firm")))
    also = f"; {counted(len(held), 'suspended firm')} with jobs that wait" if held else ""
    click.echo(f"{told} paused{also}", err=True)


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
    move_one: Callable[..., Any],
    move_many: Callable[..., list[UUID]],
    what: str,
    job_ids: tuple[UUID, ...],
    *,
    everything: bool,
    **given: Any,
) -> None:
    by_filter = any(value is not None for value in given.values())
    if not (job_ids or everything or by_filter):
        raise click.UsageError(_DEAD)
    if job_ids and (everything or by_filter):
        raise click.UsageError(_EITHER)
    if everything and by_filter:
        raise click.UsageError(_ALL)
    if job_ids:
        _one_by_one(move_one, what, job_ids)
    else:
        _all_of(move_many, what, _chosen(**given))


def _one_by_one(move: Callable[..., Any], what: str, job_ids: tuple[UUID, ...]) -> None:
    """Say a line for each job; exit with 1 where one was left alone."""
    from core.jobs.control import announce_job
    from core.tenancy.session import open_platform_session

    left_alone = False
    for job_id in dict.fromkeys(job_ids):
        try:
            with open_platform_session() as session:
                job = move(session, job_id)
        except (ConflictError, NotFoundError) as error:
            left_alone = True
            why = error.detail.replace("The job ", "it ", 1)
            click.echo(f"{job_id} left alone: {why}", err=True)
        else:
            announce_job(job)
            click.echo(f"{job_id} {what}")
    if left_alone:
        click.get_current_context().exit(1)


def _all_of(move: Callable[..., list[UUID]], what: str, chosen: Any) -> None:
    from core.jobs.dead_letters import move_all
    from core.jobs.tending import announce_moved

    moved = 0
    for batch in move_all(move, chosen):
        announce_moved(batch)
        moved += len(batch)
    click.echo(f"{counted(moved, 'job')} {what}")


def _chosen(*, slug: str | None, **given: Any) -> Any:
    from core.jobs.control import JobFilter

    tenant_id = None if slug is None else _tenant_id(slug)
    with _asked_wrongly():
        return JobFilter(tenant_id=tenant_id, **given)


@contextmanager
def _asked_wrongly() -> Iterator[None]:
    try:
        yield
    except InvalidInputError as error:
        raise click.UsageError(error.detail) from None


def _tenant_id(slug: str) -> UUID:
    from core.tenancy.resolution import tenant_id_of
    from core.tenancy.session import open_platform_session

    with open_platform_session() as session:
        return tenant_id_of(session, slug)


def _documents(session: Any, jobs: Sequence[Any]) -> list[dict[str, Any]]:
    """Answer the documents of jobs, each with its firm; the platform's own have none."""
    from core.jobs.control import job_document
    from core.tenancy.resolution import slugs_of

    slugs = slugs_of(session, {job.tenant_id for job in jobs})
    return [
        {
            **job_document(job),
            "tenant": slugs.get(job.tenant_id),
            "tenant_id": str(job.tenant_id),
            "queue": job.queue,
        }
        for job in jobs
    ]


def _line(document: dict[str, Any]) -> str:
    error = document["error"] or {}
    return "  ".join(
        (
            document["id"],
            document["created_at"],
            f"{document['tenant'] or '-':<16}",
            f"{document['status']:<10}",
            f"{document['kind']:<20}",
            f"{document['progress']:>4.0%}",
            error.get("code", document["message"] or ""),
        )
    ).rstrip()
