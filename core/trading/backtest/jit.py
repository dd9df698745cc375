"""The one way in which the engine compiles: no GIL, IEEE arithmetic, a cache keyed by source.

numba notices a change of the file that holds a cached function, not of the files it calls into.
So the cache directory is named by the SHA-256 of all sources that hold compiled functions: an
edit anywhere begins an empty directory, and two versions on one machine never share an entry.
numba writes every entry to a temporary file and renames it, so processes may fill it together.
"""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import numba

_HERE = Path(__file__).resolve().parent
_FOLDERS = (_HERE, _HERE.parent / "strategy", _HERE.parent / "indicators")
_FROZEN_IN = ("events.py", "records.py", "run_numbers.py", "program.py", "signals.py")

Function = TypeVar("Function", bound=Callable[..., Any])


def cache_directory() -> Path:
    """Answer where compiled code is kept: a base, then the fingerprint of the sources.

    The base is NUMBA_CACHE_DIR, else `neozork/numba` in the user's cache directory.
    """
    base = os.environ.get("NUMBA_CACHE_DIR")
    if base is None:
        home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        base = str(Path(home) / "neozork" / "numba")
    return Path(base) / source_fingerprint()[:16]


def source_fingerprint() -> str:
    """Answer the SHA-256, in hex, of every source that machine code is made from.

    These are the files that compile something, and the enumerations whose values go into it.
    """
    digest = hashlib.sha256()
    for path in sorted(path for folder in _FOLDERS for path in folder.glob("*.py")):
        source = path.read_bytes()
        if b"njit" in source or b"@compiled" in source or path.name in _FROZEN_IN:
            digest.update(path.name.encode())
            digest.update(source)
    return digest.hexdigest()


vars(numba.config)["CACHE_DIR"] = str(cache_directory())

_OPTIONS: dict[str, Any] = {"nogil": True, "cache": True, "fastmath": False, "_nrt": False}


def compiled(function: Function) -> Function:
    """Compile a function at its first call, without fastmath, and keep the machine code.

    Nothing compiled here allocates, so reference counts are left out: counting the arrays of a
    tuple at every call cost more than the rules themselves.
    """
    return cast("Function", numba.njit(function, **_OPTIONS))


def inlined(function: Function) -> Function:
    """Compile a function into each of its callers.

    For those that take tuples of arrays: to pass one costs more than what they do.
    """
    return cast("Function", numba.njit(function, forceinline=True, **_OPTIONS))
