"""Secrets that this machine makes for itself, kept in a file that only its account reads."""

import os
import secrets
import tempfile
from pathlib import Path

_BYTES = 32


def kept_secret(path: Path) -> str:
    """Answer the secret in a file, making it where there is none; whole or not at all."""
    if not path.exists():
        handle, name = tempfile.mkstemp(dir=path.parent)
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(secrets.token_hex(_BYTES))
        Path(name).rename(path)
    return path.read_text(encoding="ascii")
