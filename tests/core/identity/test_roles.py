from core.identity.roles import HOLDERS, ROLES, permissions_of, role_faults


def test_an_auditor_reads_everything_and_changes_nothing() -> None:
    assert permissions_of("auditor") == {name for name in HOLDERS if name.endswith(":read")}


def test_an_admin_may_do_everything() -> None:
    assert permissions_of("admin") == HOLDERS.keys()


def test_a_viewer_changes_nothing_and_sees_no_audit_log() -> None:
    assert all(name.endswith(":read") for name in permissions_of("viewer"))
    assert "audit:read" not in permissions_of("viewer")


def test_a_user_manages_neither_people_nor_money() -> None:
    assert not permissions_of("user") & {"users:write", "billing:write", "tenant:write"}
    assert {"strategies:write", "backtests:run"} <= permissions_of("user")


def test_extra_permissions_add_to_the_roles() -> None:
    assert permissions_of("viewer", ["audit:read"]) == permissions_of("viewer") | {"audit:read"}


def test_names_that_the_table_lacks_allow_nothing() -> None:
    assert permissions_of("owner", ["platform:write"]) == frozenset()


def test_every_holder_is_a_role() -> None:
    assert {role for holders in HOLDERS.values() for role in holders} == set(ROLES)


def test_unknown_roles_and_permissions_are_both_told() -> None:
    faults = role_faults("owner", ["audit:read", "all:do"])
    assert [(fault.path, fault.code) for fault in faults] == [
        ("/role", "unknown_role"),
        ("/permissions", "unknown_permission"),
    ]
