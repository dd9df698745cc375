"""The platform's own jobs about tenants."""

import dramatiq

from core.jobs.kinds import END_TRIAL, MIGRATE_TENANTS, PROVISION_TENANT
from workers.perform import perform


@dramatiq.actor(actor_name=PROVISION_TENANT.name, queue_name=PROVISION_TENANT.queue)
def provision_tenant(tenant_id: str, job_id: str) -> None:
    """Make a new tenant's role and schema."""
    perform(PROVISION_TENANT, tenant_id, job_id)


@dramatiq.actor(actor_name=END_TRIAL.name, queue_name=END_TRIAL.queue)
def end_trial(tenant_id: str, job_id: str) -> None:
    """Suspend a tenant whose trial is over."""
    perform(END_TRIAL, tenant_id, job_id)


@dramatiq.actor(actor_name=MIGRATE_TENANTS.name, queue_name=MIGRATE_TENANTS.queue)
def migrate_tenants(tenant_id: str, job_id: str) -> None:
    """Bring tenants that are behind to the newest release."""
    perform(MIGRATE_TENANTS, tenant_id, job_id)
