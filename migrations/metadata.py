"""Imports every module that holds models, so that both trees are whole."""

from importlib import import_module

from sqlalchemy import MetaData

from core.tenancy.models import SharedBase, TenantBase

MODULES = (
    "core.audit.models",
    "core.identity.models",
    "core.jobs.models",
    "core.tenancy.idempotency",
    "core.tenancy.models",
    "core.trading.models",
)
for _module in MODULES:
    import_module(_module)

SHARED: MetaData = SharedBase.metadata
TENANT: MetaData = TenantBase.metadata
