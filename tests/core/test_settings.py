from pathlib import Path

import pytest

from core.errors import ConfigurationError
from core.settings import load_settings

STRONG = "zO4!kq8Vw2@Lm6#Tn1$Rb5%Yc9&Hd3*J"
PRODUCTION = {
    "ENVIRONMENT": "production",
    "DATABASE_URL": "postgres://owner:secret@db/neozork",
    "REDIS_URL": "rediss://cache/0",
    "JWT_SECRET_KEY": STRONG,
    "RESULT_SIGNING_KEY": STRONG,
    "AWS_S3_BUCKET": "neozork",
}


def set_all(monkeypatch: pytest.MonkeyPatch, values: dict[str, str]) -> None:
    for name, value in values.items():
        monkeypatch.setenv(name, value)


def test_production_starts_with_all_that_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    set_all(monkeypatch, PRODUCTION)
    settings = load_settings(None)
    assert settings.database_url == "postgresql://owner:secret@db/neozork"
    assert settings.redis_url == "rediss://cache/0"
    assert settings.blob_url == "s3://neozork"


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("DATABASE_URL", "", "DATABASE_URL"),
        ("REDIS_URL", "", "REDIS_URL"),
        ("JWT_SECRET_KEY", "", "JWT_SECRET_KEY"),
        ("JWT_SECRET_KEY", "short", "weak"),
        ("JWT_SECRET_KEY", "a" * 64, "weak"),
        ("RESULT_SIGNING_KEY", "", "RESULT_SIGNING_KEY"),
        ("RESULT_SIGNING_KEY", "short", "weak"),
        ("AWS_S3_BUCKET", "", "local folder"),
    ],
)
def test_production_refuses_what_is_missing_or_weak_by_name(
    name: str, value: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_all(monkeypatch, PRODUCTION | {name: value})
    with pytest.raises(ConfigurationError, match=told):
        load_settings(None)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", "mysql://db/neozork"),
        ("REDIS_URL", "http://cache"),
        ("PORT", "70000"),
        ("JWT_ALGORITHM", "none"),
        ("ENVIRONMENT", "staging"),
    ],
)
def test_what_cannot_be_read_is_told_by_name_and_without_its_value(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError, match=name) as refused:
        load_settings(None)
    assert value not in refused.value.detail


def test_the_environment_wins_over_the_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".env").write_text("PLATFORM_DOMAIN=file.example\nPORT=8001\n")
    monkeypatch.setenv("PLATFORM_DOMAIN", "environment.example")
    settings = load_settings(tmp_path / ".env")
    assert (settings.platform_domain, settings.port) == ("environment.example", 8001)


def test_a_missing_setting_says_which_and_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REDIS_URL", raising=False)
    with pytest.raises(ConfigurationError, match="REDIS_URL is not set"):
        load_settings(None).required("redis_url")
