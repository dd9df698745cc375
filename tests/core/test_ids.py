import pytest

from core.ids import RESERVED_SLUGS, is_slug, new_token, token_digest


@pytest.mark.parametrize("slug", ["acme", "a", "a-1", "x" * 63, "0x"])
def test_a_slug_is_a_label_of_a_host_name(slug: str) -> None:
    assert is_slug(slug)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-a",
        "a-",
        "A",
        "a.b",
        "a_b",
        "é",
        "x" * 64,
        "a b",
        "a\n",
        "0" * 32,
        *sorted(RESERVED_SLUGS),
    ],
)
def test_what_is_none_or_could_be_taken_for_another_tenant_is_refused(text: str) -> None:
    assert not is_slug(text)


def test_tokens_differ_and_are_kept_by_digest_alone() -> None:
    first, second = new_token(), new_token()
    assert first != second
    assert token_digest(first) == token_digest(first) != token_digest(second)
    assert first.encode() not in token_digest(first)
