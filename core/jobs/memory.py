"""A limit on the memory that one attempt may take, held by the kernel."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

_PAGE = resource.getpagesize()
_DATA_FIELD = 5


@contextmanager
def limited(megabytes: int) -> Iterator[None]:
    """Let the process take so many 2²⁰ bytes over what it held at its first attempt.

    Past that an allocation fails, which Python, numpy, numba and Arrow raise as MemoryError;
    native code that does not look dies, and its job's lease runs out. Linux counts private
    writable memory, mapped files and shared memory apart.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    limit = _held_at_first() + (megabytes << 20)
    if hard != resource.RLIM_INFINITY:
        limit = min(limit, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


@lru_cache(maxsize=1)
def _held_at_first() -> int:
    return int(Path("/proc/self/statm").read_text().split()[_DATA_FIELD]) * _PAGE
