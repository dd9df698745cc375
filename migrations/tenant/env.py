"""Alembic's environment for a tenant's schema.

Upgrades are only rendered (`--sql`): `migrations.run` replays the text over all tenants. Online
it serves `check` and `revision --autogenerate`, against the schema that `-x schema=…` names.
"""

from alembic import context

from core.tenancy.engine import owner_engine
from migrations.metadata import TENANT


def _render() -> None:
    context.configure(
        dialect_name="postgresql", target_metadata=TENANT, literal_binds=True, as_sql=True
    )
    context.run_migrations()


def _compare() -> None:
    schema = context.get_x_argument(as_dictionary=True)["schema"]
    with owner_engine().connect() as connection:
        connection.exec_driver_sql(f'SET search_path = "{schema}"')
        connection.commit()
        connection.dialect.default_schema_name = schema
        context.configure(connection=connection, target_metadata=TENANT)
        with context.begin_transaction():
            context.run_migrations()


if context.is_offline_mode():
    _render()
else:
    _compare()
