"""Every way to drop or loosen a rule of isolation that stands in a database's catalogue.

Each query answers statements; what it enumerates are the rules themselves, so that those of a
new table are loosened unasked. `%(mine)s`, `%(theirs)s`: the roles, and schemas, of two tenants.
"""

from core.tenancy.models import SHARED_SCHEMA
from core.tenancy.roles import DEFAULT_LOGIN, PLATFORM_ROLE, TENANT_GROUP

_POLICY = """
    format('ALTER POLICY %%I ON %%I.%%I {}', policyname, schemaname, tablename) FROM pg_policies
"""
_RELATIONS = f"""
pg_class class JOIN pg_namespace schema ON schema.oid = relnamespace
    AND nspname IN ('{SHARED_SCHEMA}', %(mine)s, %(theirs)s) AND relkind = 'r'
"""
_GRANTS = "LATERAL aclexplode({}) grants JOIN pg_roles ON pg_roles.oid = grantee"
_RIGHTS = "unnest(string_to_array('SELECT INSERT UPDATE DELETE TRUNCATE REFERENCES TRIGGER', ' '))"
_ROLES = f"unnest(ARRAY['{TENANT_GROUP}', '{PLATFORM_ROLE}', '{DEFAULT_LOGIN}', %(mine)s])"
_HELD = f"""
pg_auth_members JOIN pg_roles held ON held.oid = roleid JOIN pg_roles taker ON taker.oid = member
    AND (held.rolname, taker.rolname) IN ((%(mine)s, '{DEFAULT_LOGIN}'),
        ('{PLATFORM_ROLE}', '{DEFAULT_LOGIN}'), ('{TENANT_GROUP}', %(mine)s))
"""
_BY = "GRANTED BY %%s"

MUTATIONS = {
    "policy dropped": """
        SELECT format('DROP POLICY %%I ON %%I.%%I', policyname, schemaname, tablename)
        FROM pg_policies""",
    "policy that shows every row": f"""
        SELECT {_POLICY.format("USING (true)")} WHERE qual <> 'true'""",
    "policy that takes every row": f"""
        SELECT {_POLICY.format("WITH CHECK (true)")} WHERE with_check <> 'true'""",
    "policy that shows no row": f"""
        SELECT {_POLICY.format("USING (false)")}""",
    "policy for everybody": f"""
        SELECT {_POLICY.format("TO PUBLIC")}""",
    "policy beside the others": f"""
        SELECT format('CREATE POLICY more ON %%I.%%I TO {TENANT_GROUP} USING (true)',
            nspname, relname) FROM {_RELATIONS} WHERE relrowsecurity""",
    "row-level security off": f"""
        SELECT format('ALTER TABLE %%I.%%I DISABLE ROW LEVEL SECURITY', nspname, relname)
        FROM {_RELATIONS} WHERE relrowsecurity""",
    "table given to the tenants": f"""
        SELECT format('ALTER TABLE %%I.%%I OWNER TO {TENANT_GROUP}', nspname, relname)
        FROM {_RELATIONS}""",
    "grant revoked": f"""
        SELECT format('REVOKE %%s ON %%I.%%I FROM %%I', privilege_type, nspname, relname, rolname)
        FROM {_RELATIONS}, {_GRANTS.format("relacl")} WHERE grantee <> relowner""",
    "grant to the tenants": f"""
        SELECT format('GRANT %%s ON %%I.%%I TO {TENANT_GROUP}', asked, nspname, relname)
        FROM {_RELATIONS}, {_RIGHTS} asked
        WHERE NOT has_table_privilege('{TENANT_GROUP}', class.oid, asked)""",
    "grant to everybody": f"""
        SELECT format('GRANT %%s ON %%I.%%I TO PUBLIC', asked, nspname, relname)
        FROM {_RELATIONS}, unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) asked""",
    "grant to one role": f"""
        SELECT format('GRANT %%s ON %%I.%%I TO %%I', min(asked), nspname, relname, role)
        FROM {_RELATIONS}, {_RIGHTS} asked, {_ROLES} role
        WHERE NOT has_table_privilege(role, class.oid, asked) GROUP BY nspname, relname, role""",
    "column granted": f"""
        SELECT format('GRANT SELECT (%%I) ON %%I.%%I TO {TENANT_GROUP}', attname, nspname, relname)
        FROM {_RELATIONS} JOIN pg_attribute ON attrelid = class.oid AND attnum = 1
        WHERE NOT has_table_privilege('{TENANT_GROUP}', class.oid, 'SELECT')""",
    "schema closed": f"""
        SELECT format('REVOKE %%s ON SCHEMA %%I FROM %%I', privilege_type, nspname, rolname)
        FROM pg_namespace, {_GRANTS.format("nspacl")}
        WHERE grantee <> nspowner AND nspname IN ('{SHARED_SCHEMA}', %(mine)s)""",
    "schema opened": f"""
        SELECT format('GRANT %%s ON SCHEMA %%I TO %%I', asked, nspname, role)
        FROM pg_namespace, unnest(ARRAY['USAGE', 'CREATE']) asked, {_ROLES} role
        WHERE nspname IN ('{SHARED_SCHEMA}', %(theirs)s, 'public')
            AND NOT has_schema_privilege(role, oid, asked)
        UNION ALL SELECT format('GRANT %%s ON SCHEMA %%I TO PUBLIC', asked, nspname)
        FROM pg_namespace, unnest(ARRAY['USAGE', 'CREATE']) asked
        WHERE nspname IN ('{SHARED_SCHEMA}', %(theirs)s)""",
    "role taken from its holder": f"""
        SELECT format('REVOKE %%I FROM %%I {_BY}', held.rolname, taker.rolname, grantor::regrole)
        FROM {_HELD}""",
    "role held in another way": f"""
        SELECT format('GRANT %%I TO %%I WITH %%s {_BY}',
            held.rolname, taker.rolname, way, grantor::regrole)
        FROM {_HELD} CROSS JOIN LATERAL (VALUES ('ADMIN TRUE', NOT admin_option),
            ('INHERIT TRUE', NOT inherit_option), ('INHERIT FALSE', inherit_option),
            ('SET FALSE', set_option)) ways(way, is_another) WHERE is_another""",
    "role given to another": f"""
        SELECT format('GRANT %%I TO %%I', role, taker)
        FROM {_ROLES} role, unnest(ARRAY['{DEFAULT_LOGIN}', '{PLATFORM_ROLE}', %(theirs)s]) taker
        WHERE role <> taker AND NOT pg_has_role(taker, role, 'MEMBER')
            AND role <> '{DEFAULT_LOGIN}'""",
    "role above the rules": f"""
        SELECT format('ALTER ROLE %%I %%s', role, attribute)
        FROM {_ROLES} role, unnest(ARRAY['BYPASSRLS', 'SUPERUSER', 'CREATEROLE']) attribute
        UNION ALL SELECT format('ALTER ROLE %%I LOGIN', role)
        FROM {_ROLES} role WHERE role <> '{DEFAULT_LOGIN}'""",
    "set_config given back": f"""
        SELECT format('GRANT EXECUTE ON FUNCTION set_config TO %%s', role)
        FROM {_ROLES} role UNION ALL SELECT 'GRANT EXECUTE ON FUNCTION set_config TO PUBLIC'""",
    "later tables granted": f"""
        SELECT format('ALTER DEFAULT PRIVILEGES IN SCHEMA %%I GRANT SELECT ON TABLES TO %%s',
            schema, role)
        FROM unnest(ARRAY['{SHARED_SCHEMA}', %(theirs)s]) schema,
            unnest(ARRAY['PUBLIC', '{TENANT_GROUP}']) role""",
    "table without a rule": f"""
        SELECT 'CREATE TABLE {SHARED_SCHEMA}.unruled (tenant_id uuid)'""",
    "view of every row": f"""
        SELECT format('CREATE VIEW %%I.every_row AS SELECT * FROM %%I.%%I; '
            'GRANT SELECT ON %%1$I.every_row TO {TENANT_GROUP}', nspname, nspname, relname)
        FROM {_RELATIONS} WHERE relrowsecurity""",
    "function of its owner": f"""
        SELECT 'CREATE FUNCTION {SHARED_SCHEMA}.users_of() RETURNS bigint LANGUAGE sql '
            'SECURITY DEFINER AS ''SELECT count(*) FROM {SHARED_SCHEMA}.users'''""",
}
