from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import InvalidInputError
from core.storage.keys import checked_key, checked_prefix, tenant_key, tenant_prefix

TENANT = UUID("0192f0c1-2a3b-7c4d-8e5f-a0b1c2d3e4f5")


def test_a_key_begins_with_the_tenants_id() -> None:
    assert tenant_key(TENANT, "bars", "ab12.parquet") == f"{TENANT}/bars/ab12.parquet"
    assert tenant_key(TENANT, "bars", "2024/a").startswith(tenant_prefix(TENANT))


@pytest.mark.parametrize(
    "name",
    [
        "",
        "..",
        "../x",
        "a/../b",
        "/etc",
        "a//b",
        "a/",
        ".hidden",
        "a\\b",
        "a b",
        "é",
        "a\n",
        "a\0b",
    ],
)
def test_no_name_leaves_the_tenants_prefix(name: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        tenant_key(TENANT, "bars", name)
    assert caught.value.instance_code == "bad_key"


@pytest.mark.parametrize("kind", ["", "Bars", "a/b", "..", "x" * 33])
def test_a_kind_is_a_plain_word(kind: str) -> None:
    with pytest.raises(InvalidInputError):
        tenant_key(TENANT, kind, "x")


@pytest.mark.parametrize(
    "key", ["", "bars/x", f"/{TENANT}/x", f"{TENANT}", f"{TENANT}/", str(TENANT).upper() + "/x"]
)
def test_what_does_not_begin_with_a_tenants_id_is_no_key(key: str) -> None:
    with pytest.raises(InvalidInputError):
        checked_key(key)


@pytest.mark.parametrize("prefix", ["", "/", str(TENANT), f"{TENANT}/bars", f"{TENANT}/../x/"])
def test_a_prefix_is_a_tenants_own_and_ends_in_a_slash(prefix: str) -> None:
    with pytest.raises(InvalidInputError):
        checked_prefix(prefix)
    assert checked_prefix(f"{TENANT}/bars/") == f"{TENANT}/bars/"


def test_a_key_has_a_longest_length() -> None:
    assert checked_key(f"{TENANT}/" + "x" * 475)
    with pytest.raises(InvalidInputError):
        checked_key(f"{TENANT}/" + "x" * 476)


@given(st.text(max_size=40))
def test_every_name_that_passes_stays_under_the_prefix(name: str) -> None:
    try:
        key = tenant_key(TENANT, "bars", name)
    except InvalidInputError:
        return
    assert key.startswith(f"{TENANT}/bars/")
    assert not {"", ".", ".."} & set(key.split("/"))
