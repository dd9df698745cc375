"""Freed memory kept for the next run.

A run over a million bars makes 50 MB of arrays and frees them. glibc gives that back to the
system, and the next run pays a page fault for every 4 KB of it: of 10 ms that took 4.
"""

import ctypes

_TRIM_THRESHOLD = -1
_MMAP_THRESHOLD = -3
_ARENA_MAX = -8
_KEPT_BYTES = 256 * 1024**2
_LARGEST_KEPT_BYTES = 32 * 1024**2  # glibc takes no more: arrays of four million bars


def keep_freed_memory() -> bool:
    """Let this process hold on to 256 MB that it freed; answer whether the C library can.

    One arena for all threads, since those of other threads are always given back whole.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    wishes = {
        _ARENA_MAX: 1,
        _MMAP_THRESHOLD: _LARGEST_KEPT_BYTES,
        _TRIM_THRESHOLD: _KEPT_BYTES,
    }
    return all(mallopt(option, value) == 1 for option, value in wishes.items())
