"""Two tenants with a row each in every shared table that has a tenant column."""

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import psycopg
from psycopg import sql
from sqlalchemy import Column, Table

from core.tenancy.models import SHARED_SCHEMA, SharedBase
from core.tenancy.roles import tenant_role
from migrations.metadata import SHARED

Connection = psycopg.Connection[Any]
MODELS: dict[str, type[SharedBase]] = {
    mapper.class_.__tablename__: mapper.class_ for mapper in SharedBase.registry.mappers
}
_MADE = {
    UUID: uuid4,
    str: lambda: secrets.token_hex(8),
    bytes: lambda: secrets.token_bytes(8),
    int: lambda: secrets.randbelow(2**31),
    object: lambda: "{}",  # JSON
    datetime: lambda: datetime.now(UTC),
}


@dataclass(frozen=True, slots=True)
class Firms:
    mine: UUID
    theirs: UUID

    @property
    def roles(self) -> tuple[str, str]:
        return tenant_role(self.mine), tenant_role(self.theirs)


def plant(connection: Connection, firms: Firms) -> None:
    """Give both tenants one row wherever a row has a tenant, by the models as they stand."""
    for tenant in (firms.mine, firms.theirs):
        for table in SHARED.sorted_tables:
            column = MODELS[table.name].access.tenant_column
            if column is not None and table.name != "tenants":
                connection.execute(f"DELETE FROM {table.fullname} WHERE {column} = '{tenant}'")
                connection.execute(insertion(connection, table, column, tenant))


def insertion(connection: Connection, table: Table, column: str | None, tenant: UUID | None) -> str:
    """Answer the INSERT of a new row of a tenant, with whatever the table demands."""
    values = {
        each.name: tenant if each.name == column else _value(connection, each, tenant)
        for each in table.columns
        if each.name == column or _is_demanded(each)
    }
    return (
        sql.SQL("INSERT INTO {} ({}) VALUES ({})")
        .format(
            sql.Identifier(SHARED_SCHEMA, table.name),
            sql.SQL(", ").join(map(sql.Identifier, values)),
            sql.SQL(", ").join(map(sql.Literal, values.values())),
        )
        .as_string(connection)
    )


def _is_demanded(column: Column[Any]) -> bool:
    return column.primary_key or not (column.nullable or column.server_default is not None)


def _value(connection: Connection, column: Column[Any], tenant: UUID | None) -> object:
    for key in column.foreign_keys:
        other = key.column.table
        if other.name == "tenants":
            return tenant
        row = connection.execute(insertion(connection, other, None, None) + " RETURNING id")
        return (row.fetchone() or [None])[0]
    return _MADE[column.type.python_type]()
