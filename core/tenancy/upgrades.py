"""Bringing the tenants' schemas to the newest release, by replaying the scripts that it keeps.

`migrate` renders the tenant tree to those scripts; here they are only replayed, as the owner, a
savepoint each. Any number may do so at once: each takes the next tenants that nobody holds. One
that is killed leaves none half-applied, since a schema and its version row change together.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

import psycopg
from sqlalchemy import Connection, Select, String, case, cast, func, or_, select, update
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from core.errors import NotFoundError, UnavailableError
from core.logging import get_logger
from core.tenancy.engine import owner_engine
from core.tenancy.models import Tenant, TenantRelease, TenantSchema, TenantUpgrade
from core.tenancy.provisioning import SCHEMA_MARK, run_script
from core.tenancy.roles import tenant_role

FAILURES_ALLOWED = 5
LOCK_WAIT = "300ms"
# A schema's locks are held until the last of its batch is done.
_BATCH = 20
# A backend keeps a quarter of a megabyte for each tenant that it touched.
_BATCHES_PER_CONNECTION = 10
_LOSSES_BORNE = 5
_FIRST_BACK_OFF_S = 5.0
_BACK_OFF_GROWS = 3.0
# A runner that is stopped, or whose machine is gone, must not keep tenants from their tables.
_LIMITS = f"""
SET LOCAL lock_timeout = '{LOCK_WAIT}';
SET LOCAL idle_in_transaction_session_timeout = '5s';
SET LOCAL client_connection_check_interval = '1s';
"""
# A schema may be there before its tenant's row is, and after.
_SLUG = func.coalesce(Tenant.subdomain, cast(TenantSchema.tenant_id, String))
log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a runner did to the tenants' schemas."""

    migrated: int = 0
    failed: int = 0
    quarantined: int = 0

    def __add__(self, other: "Outcome") -> "Outcome":
        return Outcome(
            self.migrated + other.migrated,
            self.failed + other.failed,
            self.quarantined + other.quarantined,
        )


class _Behind(NamedTuple):
    """A tenant that is due, and the script that brings it from its revision to the head."""

    tenant_id: UUID
    revision: str
    head: str
    script: str


class _ConnectionLostError(Exception):
    """Raised when the connection died over a tenant's script, and the whole batch with it."""

    def __init__(self, tenant: "_Behind", error: Exception) -> None:
        super().__init__(str(error))
        self.tenant = tenant


def upgrade_tenants(on_batch: Callable[[Outcome], None] = lambda _: None) -> Outcome:
    """Bring every tenant that is due to the newest release; answer how they fared.

    One that fails is left as it was, tried again later, and quarantined after FAILURES_ALLOWED
    failures; the others go on. `on_batch` hears of the whole so far, and may raise to stop. Raises
    UnavailableError where the database does not answer.
    """
    engine = owner_engine()
    outcome = Outcome()
    losses_borne = _LOSSES_BORNE
    while True:
        try:
            with engine.connect() as connection:
                for _ in range(_BATCHES_PER_CONNECTION):
                    done = _upgrade_batch(connection)
                    if done == Outcome():
                        return outcome
                    outcome += done
                    on_batch(outcome)
        except _ConnectionLostError as error:
            with engine.begin() as connection:
                outcome += _blame(connection, error.tenant, str(error))
        except OperationalError as error:
            # Lost between two scripts, as after standing still: the batch is undone, begin anew.
            if not (losses_borne and error.connection_invalidated):
                raise UnavailableError(f"The database does not answer: {error.orig}") from error
            losses_borne -= 1


def lift_quarantine(connection: Connection, slugs: Sequence[str] = ()) -> int:
    """Let tenants be tried again at once, all or those named; answer how many they are.

    Raises NotFoundError for one that is not quarantined, and then lifts none.
    """
    quarantined = dict(
        connection.execute(
            select(_SLUG, TenantSchema.tenant_id)
            .outerjoin(Tenant, Tenant.id == TenantSchema.tenant_id)
            .where(TenantSchema.quarantined_at.is_not(None))
        ).all()
    )
    if unknown := sorted(set(slugs) - set(quarantined)):
        raise NotFoundError(f"No quarantined tenant has this slug: {', '.join(unknown)}.")
    lifted = [quarantined[slug] for slug in slugs or quarantined]
    connection.execute(
        update(TenantSchema)
        .where(TenantSchema.tenant_id.in_(lifted))
        .values(quarantined_at=None, not_before=None, failures=0, updated_at=func.now())
    )
    return len(lifted)


def count_due(session: Connection | Session) -> int:
    """Answer how many tenants are behind the newest release and may be tried now."""
    return session.scalar(select(func.count()).select_from(_due().subquery())) or 0


def _due() -> Select[UUID, str, str, str]:
    newest = select(TenantRelease.head).order_by(TenantRelease.created_at.desc()).limit(1)
    now = func.clock_timestamp()
    return (
        select(
            TenantSchema.tenant_id, TenantSchema.revision, TenantUpgrade.head, TenantUpgrade.script
        )
        .join(TenantUpgrade, TenantUpgrade.from_revision == TenantSchema.revision)
        .where(TenantUpgrade.head == newest.scalar_subquery())
        .where(TenantSchema.quarantined_at.is_(None))
        .where(or_(TenantSchema.not_before.is_(None), TenantSchema.not_before <= now))
    )


def _upgrade_batch(connection: Connection) -> Outcome:
    """Bring the next few tenants up to date, in one transaction that ends at the first failure."""
    next_few = (
        _due()
        .order_by(TenantSchema.tenant_id)
        .limit(_BATCH)
        .with_for_update(of=TenantSchema, skip_locked=True)
    )
    done: list[UUID] = []
    blamed = Outcome()
    with connection.begin():
        run_script(connection, _LIMITS)
        behind = [_Behind(*row) for row in connection.execute(next_few)]
        for tenant in behind:
            error = _replay(connection, tenant)
            if error is not None:
                blamed = _blame(connection, tenant, error)
                break
            done.append(tenant.tenant_id)
        if done:
            stands = {"revision": behind[0].head, "failures": 0, "not_before": None, "error": None}
            connection.execute(
                update(TenantSchema)
                .where(TenantSchema.tenant_id.in_(done))
                .values(**stands, updated_at=func.now())
            )
    return Outcome(migrated=len(done)) + blamed


def _replay(connection: Connection, tenant: _Behind) -> str | None:
    """Run a script in a tenant's schema; answer the error that undid it, None for success."""
    ours = tenant.script.replace(SCHEMA_MARK, tenant_role(tenant.tenant_id))
    try:
        run_script(connection, f"SAVEPOINT tenant; {ours} RELEASE SAVEPOINT tenant;")
    except psycopg.Error as error:
        raw = connection.connection.dbapi_connection
        if not isinstance(raw, psycopg.Connection) or raw.closed:
            connection.invalidate()
            raise _ConnectionLostError(tenant, error) from error
        run_script(connection, "ROLLBACK TO SAVEPOINT tenant")
        return str(error)
    return None


def _blame(connection: Connection, tenant: _Behind, error: str) -> Outcome:
    """Count a tenant's failure: it waits longer each time, and is left alone in the end.

    One that another runner brought up meanwhile, while this one stood still, is not blamed.
    """
    log.warning("tenant_migration_failed", tenant_id=str(tenant.tenant_id), error=error)
    wait_s = _FIRST_BACK_OFF_S * func.power(_BACK_OFF_GROWS, TenantSchema.failures)
    wait = func.make_interval(0, 0, 0, 0, 0, 0, wait_s * (0.5 + func.random() / 2))
    last = TenantSchema.failures + 1 >= FAILURES_ALLOWED
    blamed = connection.execute(
        update(TenantSchema)
        .where(TenantSchema.tenant_id == tenant.tenant_id)
        .where(TenantSchema.revision == tenant.revision)
        .values(
            failures=TenantSchema.failures + 1,
            not_before=func.clock_timestamp() + wait,
            quarantined_at=case((last, func.now())),
            error=error,
            updated_at=func.now(),
        )
        .returning(TenantSchema.quarantined_at)
    ).one_or_none()
    if blamed is None:
        return Outcome()
    return Outcome(failed=1) if blamed.quarantined_at is None else Outcome(quarantined=1)
