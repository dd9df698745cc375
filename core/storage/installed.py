"""The store that this installation's settings name."""

from functools import lru_cache

from core.settings import get_settings
from core.storage.blobs import AwsSettings, BlobStore, open_store
from core.storage.folder import folder_of, install_folder


@lru_cache(maxsize=1)
def installed_store() -> BlobStore:
    """Answer the process's store.

    Raises ConfigurationError where none is set, UnavailableError while its folder is away.
    """
    settings = get_settings()
    secret = settings.aws_secret_access_key
    aws = AwsSettings(
        access_key_id=settings.aws_access_key_id,
        secret_access_key=secret.get_secret_value() if secret else None,
        region=settings.aws_region or AwsSettings().region,
        endpoint=settings.aws_endpoint_url,
    )
    return open_store(settings.blob_url, aws=aws, make=False)


def install_store(*, first: bool) -> None:
    """Make what the store needs, on a platform that has no firms yet if `first`; a bucket nothing.

    Raises ConfigurationError where the folder of a platform with firms is away.
    """
    settings = get_settings()
    if settings.storage_url and not settings.aws_s3_bucket:
        folder = folder_of(settings.storage_url)
        if folder is not None:
            install_folder(folder, first=first)
