"""The platform's own jobs about tenants."""

import dramatiq

from core.jobs.kinds import PROVISION_TENANT
from workers.perform import perform


@dramatiq.actor(actor_name=PROVISION_TENANT.name, queue_name=PROVISION_TENANT.queue)
def provision_tenant(tenant_id: str, job_id: str) -> None:
    """Make a new tenant's role and schema."""
    perform(PROVISION_TENANT, tenant_id, job_id)
