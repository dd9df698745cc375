"""The folder that blobs lie in, where there is no bucket, and how it is told from an empty one.

It is marked when the platform is installed. Where the mark is missing, a disk is not mounted:
all would seem lost that is read, and be lost that is written, so that nothing is.
"""

from pathlib import Path
from urllib.parse import unquote, urlsplit

from core.errors import ConfigurationError, UnavailableError
from core.logging import get_logger

# No tenant's id, so no key's beginning.
MARK = ".neozork"
_A_TENANT = "????????-????-????-????-????????????"
log = get_logger(__name__)


def folder_of(url: str) -> Path | None:
    """Answer the folder of a URL like `file:///var/lib/neozork/blobs`, None for another."""
    parts = urlsplit(url)
    path = unquote(parts.path)
    if parts.scheme == "file" and parts.netloc in ("", "localhost") and path.startswith("/"):
        return Path(path)
    return None


def make_folder(folder: Path) -> None:
    """Make a folder, where there is none, and mark it; ConfigurationError where that cannot be."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        (folder / MARK).touch()
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"Blobs cannot be stored in {folder}: {error}.") from error


def refuse_absent(folder: Path) -> None:
    """Raise UnavailableError where a folder is not there; the log tells operators which."""
    try:
        (folder / MARK).stat()
    except (OSError, ValueError) as error:
        log.warning("blob_folder_away", folder=str(folder), error=str(error))
        raise UnavailableError("The storage does not answer.") from error


def install_folder(folder: Path, *, first: bool) -> None:
    """Make a folder where a platform is installed for the `first` time, or where its blobs lie.

    Raises ConfigurationError where nothing of it is there any more: a disk is not mounted.
    """
    ours = (path for name in (MARK, _A_TENANT) for path in folder.glob(name))
    if not first and not any(ours):
        raise ConfigurationError(
            f"Nothing of this platform is to be seen in {folder}, though it has firms. Mount the "
            "disk with their blobs. Where it never had any: "
            f"mkdir -p {folder}; touch {folder / MARK}"
        )
    make_folder(folder)
