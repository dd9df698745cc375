"""Who calls, as the rows say at this moment."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from core.errors import ForbiddenError
from core.tenancy.resolution import TenantRef


@dataclass(frozen=True, slots=True)
class Principal:
    """A caller who proved who they are.

    `tenant` None: an operator, who belongs to the platform. `permissions` are the effective
    ones. `jti`, `expires_at`: of the access token that came.
    """

    user_id: UUID
    tenant: TenantRef | None
    role: str
    permissions: frozenset[str]
    jti: UUID
    expires_at: datetime

    @property
    def tenant_id(self) -> UUID | None:
        """The tenant's id, None for an operator."""
        return self.tenant.id if self.tenant is not None else None

    def require(self, permission: str) -> None:
        """Raise ForbiddenError where the caller lacks a permission."""
        if permission not in self.permissions:
            raise ForbiddenError(
                f"This takes the permission {permission}, which your role {self.role} does not "
                "have. Ask an admin of your firm.",
                permission=permission,
            )
