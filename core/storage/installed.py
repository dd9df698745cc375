"""The store that this installation's settings name."""

from functools import lru_cache

from core.settings import get_settings
from core.storage.blobs import AwsSettings, BlobStore, open_store


@lru_cache(maxsize=1)
def installed_store() -> BlobStore:
    """Answer the process's store; ConfigurationError where none is set."""
    settings = get_settings()
    secret = settings.aws_secret_access_key
    aws = AwsSettings(
        access_key_id=settings.aws_access_key_id,
        secret_access_key=secret.get_secret_value() if secret else None,
        region=settings.aws_region or AwsSettings().region,
        endpoint=settings.aws_endpoint_url,
    )
    return open_store(settings.blob_url, aws=aws)
