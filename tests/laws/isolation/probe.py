"""Asks a database what its roles can really do, and answers where that breaks a law.

Each wall is tried alone: the grants as they stand, and the policies with every grant given.
What is asked comes from the models and the catalogue, so that a new table is covered unasked.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID, uuid4

from core.tenancy.models import SHARED_SCHEMA, SharedBase
from core.tenancy.roles import DEFAULT_LOGIN, PLATFORM_ROLE, TENANT_GROUP, tenant_role
from migrations.metadata import TENANT
from tests.laws.isolation.planting import MODELS, Connection, Firms, insertion

DENIED = "42501"
TENANT_TABLES = {table.name for table in TENANT.sorted_tables}
OWN_RIGHTS = {"SELECT", "INSERT", "UPDATE", "DELETE"}

# Tries a statement as a role of the login's, and undoes all of it: rows touched, or the SQLSTATE.
_ATTEMPT = f"""
CREATE OR REPLACE FUNCTION pg_temp.attempt(role text, statement text) RETURNS text AS $$
DECLARE touched bigint;
BEGIN
  SET LOCAL SESSION AUTHORIZATION {DEFAULT_LOGIN};
  EXECUTE format('SET LOCAL ROLE %I', role);
  EXECUTE statement;
  GET DIAGNOSTICS touched = ROW_COUNT;
  RAISE EXCEPTION USING ERRCODE = 'ZZ000', MESSAGE = touched;
EXCEPTION WHEN SQLSTATE 'ZZ000' THEN RETURN SQLERRM; WHEN OTHERS THEN RETURN SQLSTATE;
END $$ LANGUAGE plpgsql
"""


@dataclass(frozen=True, slots=True)
class _Try:
    law: str
    role: str
    statement: str
    expected: str


def violations(connection: Connection, firms: Firms) -> Iterator[str]:
    """Answer every law that the database breaks, in words; both firms are planted before."""
    yield from _rights(connection, firms)
    yield from _memberships(connection, firms)
    yield from _catalogue(connection, firms)
    yield from _rows(connection, firms)


def _rows(connection: Connection, firms: Firms) -> Iterator[str]:
    """Try every table with every grant given, so that the policies alone decide."""
    connection.execute(_ATTEMPT)
    tries = [a_try for model in MODELS.values() for a_try in _tries(connection, model, firms)]
    asked = [{"role": a_try.role, "statement": a_try.statement} for a_try in tries]
    everybody = ", ".join([*firms.roles, PLATFORM_ROLE, DEFAULT_LOGIN])
    with connection.transaction(force_rollback=True):
        connection.execute(
            f"GRANT USAGE ON SCHEMA {SHARED_SCHEMA} TO {everybody};"
            f"GRANT ALL ON ALL TABLES IN SCHEMA {SHARED_SCHEMA} TO {everybody}"
        )
        answers = connection.execute(
            "SELECT pg_temp.attempt(role, statement) FROM jsonb_to_recordset(%s)"
            " AS asked(role text, statement text)",
            [json.dumps(asked)],
        ).fetchall()
    for a_try, (answer,) in zip(tries, answers, strict=True):
        if answer != a_try.expected:
            yield f"{a_try.law}: {answer} instead of {a_try.expected}"


def _tries(connection: Connection, model: type[SharedBase], firms: Firms) -> Iterator[_Try]:
    table, column = model.__table__, model.access.tenant_column
    if column is None:
        return
    name = f"{SHARED_SCHEMA}.{table.name}"
    is_key = [key.name for key in table.primary_key] == [column]

    def row_of(tenant: UUID) -> str:
        return insertion(connection, table, column, tenant)

    def tried(law: str, role: str, statement: str, expected: str) -> _Try:
        return _Try(f"{role} {law} in {table.name}", role, statement, expected)

    for own, other in ((firms.mine, firms.theirs), (firms.theirs, firms.mine)):
        role, mine, theirs = tenant_role(own), f"{column} = '{own}'", f"{column} = '{other}'"
        yield tried("sees its row", role, f"SELECT FROM {name} WHERE {mine}", "1")
        yield tried("sees no other row", role, f"SELECT FROM {name} WHERE NOT {mine}", "0")
        change = f"UPDATE {name} SET {column} = {column} WHERE"
        yield tried("changes its row", role, f"{change} {mine}", "1")
        yield tried("changes no other row", role, f"{change} {theirs}", "0")
        yield tried("deletes no other row", role, f"DELETE FROM {name} WHERE {theirs}", "0")
        gives = f"UPDATE {name} SET {theirs} WHERE {mine}"
        yield tried("gives no row away", role, gives, DENIED)
        yield tried("makes no other's row", role, row_of(other), DENIED)
        if not is_key:
            yield tried("makes its row", role, row_of(own), "1")
    both = f"SELECT FROM {name} WHERE {column} IN ('{firms.mine}', '{firms.theirs}')"
    yield tried("sees both rows", PLATFORM_ROLE, both, "2")
    row = row_of(uuid4() if is_key else firms.mine)
    yield tried("makes rows", PLATFORM_ROLE, row, "1")
    yield tried("sees no row", DEFAULT_LOGIN, f"SELECT FROM {name}", "0")
    yield tried("makes no row", DEFAULT_LOGIN, row, DENIED)


def _rights(connection: Connection, firms: Firms) -> Iterator[str]:
    """Compare what each role may do with each relation and schema to what is declared."""
    roles = [*firms.roles, TENANT_GROUP, PLATFORM_ROLE, DEFAULT_LOGIN]
    rights_asked = _TABLE_RIGHTS if connection.info.server_version >= 170000 else _TABLE_RIGHTS[:-1]
    asked = {"roles": roles, "tenants": list(firms.roles), "rights": rights_asked}
    held = connection.execute(_RIGHTS, asked).fetchall()
    may: dict[tuple[str, str, str], set[str]] = {}
    for role, schema, relation, right in held:
        may.setdefault((role, schema, relation), set()).update([right] if right else [])
    for (role, schema, relation), rights in may.items():
        declared = _declared(role, schema, relation)
        if rights != declared:
            where = f"{schema}.{relation}" if relation else f"the schema {schema}"
            yield f"{role} may {sorted(rights)} and not {sorted(declared)} on {where}"


def _declared(role: str, schema: str, relation: str) -> set[str]:
    if schema.startswith("tenant_"):
        if role != schema:
            return set()
        return (OWN_RIGHTS if relation in TENANT_TABLES else set()) if relation else {"USAGE"}
    if schema != SHARED_SCHEMA or role == DEFAULT_LOGIN:
        return set()
    if not relation:
        return {"USAGE"}
    if relation not in MODELS:
        return set()
    access = MODELS[relation].access
    listed = access.platform if role == PLATFORM_ROLE else access.tenant
    return set(listed.split(", ")) if listed else set()


def _memberships(connection: Connection, firms: Firms) -> Iterator[str]:
    """Compare what the login and the roles are members of to what each must be, and how."""
    become = [(role, DEFAULT_LOGIN, False, False, True) for role in (*firms.roles, PLATFORM_ROLE)]
    wanted = {*become, *((TENANT_GROUP, role, False, True, True) for role in firms.roles)}
    takers = [*firms.roles, PLATFORM_ROLE, TENANT_GROUP, DEFAULT_LOGIN]
    found = set(connection.execute(_MEMBERS, [takers]).fetchall())
    for missing in wanted - found:
        yield f"membership is missing: {missing}"
    for other in found - wanted:
        is_other_tenants = other[0].startswith("tenant_") and other[1] == DEFAULT_LOGIN
        if not is_other_tenants or other[2:] != (False, False, True):
            yield f"membership is too much: {other}"


def _catalogue(connection: Connection, firms: Firms) -> Iterator[str]:
    """Answer what stands in the catalogue that no law allows: attributes, owners, functions."""
    roles = [*firms.roles, TENANT_GROUP, PLATFORM_ROLE, DEFAULT_LOGIN]
    asked = {"roles": roles, "login": DEFAULT_LOGIN}
    for law, query in _NEVER.items():
        for row in connection.execute(query, asked).fetchall():
            yield f"{law}: {row}"


_TABLE_RIGHTS = [
    *("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER", "MAINTAIN")
]
_SCHEMAS = """
SELECT oid, nspname FROM pg_namespace
WHERE nspname !~ '^(pg_|information_schema$)'
    AND (nspname !~ '^tenant_' OR nspname = ANY(%(tenants)s))
"""
_RIGHTS = f"""
WITH schemas AS ({_SCHEMAS})
SELECT role, nspname, relname, CASE
    WHEN has_table_privilege(role, class.oid, asked) THEN asked
    WHEN asked IN ('SELECT', 'INSERT', 'UPDATE', 'REFERENCES')
        AND has_any_column_privilege(role, class.oid, asked) THEN asked || ' of a column'
    END
FROM unnest(%(roles)s::text[]) role, unnest(%(rights)s::text[]) asked,
    pg_class class JOIN schemas ON schemas.oid = relnamespace
WHERE relkind IN ('r', 'p', 'v', 'm', 'f')
UNION ALL
SELECT role, nspname, '', CASE WHEN has_schema_privilege(role, oid, asked) THEN asked END
FROM unnest(%(roles)s::text[]) role, unnest(ARRAY['USAGE', 'CREATE']) asked, schemas
WHERE (nspname, asked) <> ('public', 'USAGE')
"""
_MEMBERS = """
SELECT held.rolname, member.rolname, admin_option, inherit_option, set_option
FROM pg_auth_members
JOIN pg_roles held ON held.oid = roleid JOIN pg_roles member ON member.oid = pg_auth_members.member
WHERE member.rolname = ANY(%s)
"""
_NEVER = {
    "a role has an attribute": """
        SELECT rolname FROM pg_roles WHERE rolname = ANY(%(roles)s) AND (rolsuper OR rolbypassrls
            OR rolcreaterole OR rolcreatedb OR rolreplication
            OR rolcanlogin <> (rolname = %(login)s))""",
    "a role owns something": """
        SELECT pg_get_userbyid(refobjid), classid::regclass, objid FROM pg_shdepend
        WHERE refclassid = 'pg_authid'::regclass AND deptype = 'o'
            AND pg_get_userbyid(refobjid) = ANY(%(roles)s)
            AND dbid IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))""",
    "a role may change its own setting `role`": """
        SELECT role FROM unnest(%(roles)s::text[]) role
        WHERE has_function_privilege(role, 'set_config(text, text, boolean)', 'EXECUTE')""",
    "a role may make schemas": """
        SELECT role FROM unnest(%(roles)s::text[]) role
        WHERE has_database_privilege(role, current_database(), 'CREATE')""",
    "what is made later is granted already": "SELECT * FROM pg_default_acl",
    "a function runs as its owner": """
        SELECT oid::regprocedure FROM pg_proc
        WHERE prosecdef AND pronamespace::regnamespace::text !~ '^(pg_|information_schema$)'""",
    "rows of tenants have no row-level security": f"""
        SELECT oid::regclass FROM pg_class JOIN pg_attribute ON attrelid = oid
        WHERE relnamespace = '{SHARED_SCHEMA}'::regnamespace AND relkind = 'r'
            AND attname = 'tenant_id' AND NOT relrowsecurity""",
}
