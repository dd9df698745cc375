"""Freed memory kept for the next run, on large pages.

A run over a million bars makes 50 MB of arrays and frees them. glibc gives that back to the
system, and the next run pays a page fault for every 4 KB of it, and a miss of the address
cache for most: together half of its time.
"""

import ctypes

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
_KEPT_BYTES = 256 * 1024**2
_LARGEST_KEPT_BYTES = 32 * 1024**2  # glibc takes no more: arrays of four million bars
_MADV_HUGEPAGE = 14
_PAGE = 4096


def keep_freed_memory() -> bool:
    """Let this process hold on to 256 MB that it freed; answer whether the C library can.

    One arena for all threads, since those of other threads are always given back whole.
    """
    libc = ctypes.CDLL(None)
    if not hasattr(libc, "mallopt"):
        return False
    wishes = {
        _ARENA_MAX: 1,
        _MMAP_THRESHOLD: _LARGEST_KEPT_BYTES,
        _TRIM_THRESHOLD: _KEPT_BYTES,
    }
    kept = all(libc.mallopt(option, value) == 1 for option, value in wishes.items())
    if kept:
        _ask_for_large_pages(libc)
    return kept


def _ask_for_large_pages(libc: ctypes.CDLL) -> None:
    """Take what will be kept, untouched, as one stretch of the heap, mark it, free it again."""
    libc.malloc.restype = ctypes.c_void_p
    size = _LARGEST_KEPT_BYTES - _PAGE
    blocks = [libc.malloc(ctypes.c_size_t(size)) for _ in range(_KEPT_BYTES // size - 1)]
    for block in filter(None, blocks):
        start = -(-block // _PAGE) * _PAGE
        libc.madvise(ctypes.c_void_p(start), ctypes.c_size_t(size - _PAGE), _MADV_HUGEPAGE)
    for block in blocks:
        libc.free(ctypes.c_void_p(block))
