"""Typed settings, read from the environment and, where one is named, from a `.env` file.

`.env.example` explains each of them. Development makes what it lacks (secrets, a folder for
blobs); production refuses to start without.
"""

import os
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit, urlunsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from core.errors import ConfigurationError

MINIMUM_SECRET_LENGTH = 32
_FEWEST_DISTINCT_CHARACTERS = 10


def _postgres_url(url: str) -> str:
    """Accept the schemes that PaaS providers hand out; SQLAlchemy wants postgresql."""
    parts = urlsplit(url)
    if parts.scheme not in {"postgres", "postgresql", "postgresql+psycopg"}:
        raise ValueError("must begin with postgresql:// (postgres:// is accepted too)")
    return urlunsplit(parts._replace(scheme="postgresql"))


def _valkey_url(url: str) -> str:
    if urlsplit(url).scheme not in {"redis", "rediss", "unix", "valkey", "valkeys"}:
        raise ValueError("must begin with redis://, rediss:// or unix://")
    return url.replace("valkey", "redis", 1) if url.startswith("valkey") else url


def _none_if_empty(value: object) -> object:
    return None if value == "" else value


PostgresUrl = Annotated[str, AfterValidator(_postgres_url)]
ValkeyUrl = Annotated[str, AfterValidator(_valkey_url)]
_EMPTY_IS_NONE = BeforeValidator(_none_if_empty)
OptionalText = Annotated[str | None, _EMPTY_IS_NONE]
OptionalSecret = Annotated[SecretStr | None, _EMPTY_IS_NONE]


def _is_strong(secret: str) -> bool:
    return len(secret) >= MINIMUM_SECRET_LENGTH and len(set(secret)) >= _FEWEST_DISTINCT_CHARACTERS


class Settings(BaseSettings):
    """Everything that an installation may set; names are the environment's in lower case."""

    model_config = SettingsConfigDict(extra="ignore", frozen=True, env_file_encoding="utf-8")

    environment: Literal["development", "test", "production"] = "development"
    platform_domain: str = "localhost"
    port: int = Field(default=8000, ge=0, le=65535)
    trusted_proxies: int = Field(default=0, ge=0, le=10)
    log_format: Literal["auto", "console", "json"] = "auto"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    event_streams_per_process: int = Field(default=800, ge=1)
    event_streams_per_user: int = Field(default=20, ge=1)

    database_url: Annotated[PostgresUrl | None, _EMPTY_IS_NONE] = None
    app_database_url: Annotated[PostgresUrl | None, _EMPTY_IS_NONE] = None
    database_pool_size: int = Field(default=5, ge=1, le=100)
    redis_url: Annotated[ValkeyUrl | None, _EMPTY_IS_NONE] = None
    rate_limit_redis_url: Annotated[ValkeyUrl | None, _EMPTY_IS_NONE] = None

    jwt_secret_key: OptionalSecret = None
    jwt_algorithm: Literal["HS256"] = "HS256"
    jwt_access_token_expire_minutes: int = Field(default=30, ge=1, le=1440)
    refresh_token_expire_days: int = Field(default=30, ge=1, le=365)

    storage_url: OptionalText = None
    aws_access_key_id: OptionalText = None
    aws_secret_access_key: OptionalSecret = None
    aws_region: OptionalText = None
    aws_s3_bucket: OptionalText = None
    aws_endpoint_url: OptionalText = None

    stripe_publishable_key: OptionalText = None
    stripe_secret_key: OptionalSecret = None
    stripe_webhook_secret: OptionalSecret = None

    result_signing_key: OptionalSecret = None
    sentry_dsn: OptionalText = None
    metrics_address: str = "127.0.0.1"
    metrics_port: int = Field(default=9400, ge=0, le=65525)
    worker_cache_dir: Path = Path("~/.cache/neozork")

    @property
    def in_production(self) -> bool:
        """Whether missing and weak secrets are refused."""
        return self.environment == "production"

    @property
    def blob_url(self) -> str:
        """Where blobs live; an S3 bucket where one is named, else what `STORAGE_URL` says."""
        if self.aws_s3_bucket:
            return f"s3://{self.aws_s3_bucket}"
        return self.required("storage_url")

    def required(self, name: str) -> str:
        """Answer a setting that a process cannot do without.

        Raises ConfigurationError where it is not set, naming the variable.
        """
        value = getattr(self, name)
        if value is None:
            raise ConfigurationError(
                f"{name.upper()} is not set. Set it in the environment (.env.example explains "
                "it), or run `neozork up`, which starts services of its own."
            )
        return value.get_secret_value() if isinstance(value, SecretStr) else str(value)

    def refuse_weak_production(self) -> None:
        """Raise ConfigurationError listing every reason why this may not run in production."""
        if not self.in_production:
            return
        faults = [
            f"{name.upper()} is not set"
            for name in ("database_url", "redis_url", "jwt_secret_key", "result_signing_key")
            if getattr(self, name) is None
        ]
        faults += [
            f"{name.upper()} is weak: take {MINIMUM_SECRET_LENGTH} random characters or more"
            for name in ("jwt_secret_key", "result_signing_key")
            if getattr(self, name) and not _is_strong(self.required(name))
        ]
        if not self.aws_s3_bucket and (self.storage_url or "file:").startswith("file:"):
            faults.append("blobs on a local folder are lost with the machine: set AWS_S3_BUCKET")
        if faults:
            raise ConfigurationError("ENVIRONMENT=production: " + "; ".join(faults))


def load_settings(env_file: Path | None = None) -> Settings:
    """Read the settings; the environment wins over the file.

    Raises ConfigurationError naming every variable that cannot be read.
    """
    try:
        settings = Settings(_env_file=env_file)
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(map(str, fault['loc'])).upper()}: {fault['msg']}"
            for fault in error.errors(include_input=False, include_url=False)
        )
        raise ConfigurationError(f"The settings cannot be read. {faults}") from None
    settings.refuse_weak_production()
    return settings


@lru_cache(maxsize=1)
def get_settings() -> Settings:
    """Answer the process's settings, read once.

    `NEOZORK_ENV_FILE` names the file to read beside the environment; empty means none, and where
    it is not set, `.env` is read if there is one. Raises ConfigurationError where it is no file.
    """
    named = os.environ.get("NEOZORK_ENV_FILE")
    if named and not Path(named).expanduser().is_file():
        raise ConfigurationError(
            f"NEOZORK_ENV_FILE names {named}, and there is no such file. Name one that is there, "
            "or leave it empty to read the environment alone."
        )
    if named == "":
        return load_settings()
    return load_settings(Path(named or ".env"))
