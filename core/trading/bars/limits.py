"""How much of a file is read at most."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """`max_rows`: bars; `max_bytes`: of the file, and of its columns once decompressed."""

    max_rows: int = 5_000_000
    max_bytes: int = 512 * 1024 * 1024
