"""Alembic's environment for the schema `neozork`."""

from alembic import context

from core.tenancy.engine import owner_engine
from core.tenancy.models import SHARED_SCHEMA
from migrations.metadata import SHARED


def _migrate() -> None:
    with owner_engine().connect() as connection:
        context.configure(
            connection=connection,
            target_metadata=SHARED,
            version_table_schema=SHARED_SCHEMA,
            include_schemas=True,
            include_name=lambda name, kind, _parents: kind != "schema" or name == SHARED_SCHEMA,
            compare_server_default=False,
        )
        with context.begin_transaction():
            context.run_migrations()
        connection.commit()


_migrate()
