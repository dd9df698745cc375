"""Cells of a sweep on several threads: each is, bit for bit, what a single run answers."""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from queue import SimpleQueue
from threading import Event

from core.trading.research.desk import LANES, Desk
from core.trading.research.prepared import Cell, Sweep

_UNIT_BARS = 2**22
_LONGEST_WAIT_S = 0.05
_UNITS_AHEAD = 2


def run_cells(
    sweep: Sweep,
    cells: range,
    *,
    threads: int = 1,
    checkpoint: Callable[[], None] | None = None,
) -> Iterator[Cell]:
    """Run cells and answer them in their order, as they come; memory does not grow with them.

    The kernel holds no lock, so threads use as many cores. `checkpoint`: called in the thread
    that asks for cells, at least every 50 ms of waiting; whatever it raises ends the work within
    a stretch of 65,536 bars, and is raised. Leaving the iteration early ends it, too.
    """
    stopped = Event()
    desks: SimpleQueue[Desk] = SimpleQueue()
    for _ in range(threads):
        desks.put(Desk(sweep, stopped.is_set))

    def work(unit: range) -> list[Cell]:
        desk = desks.get()
        try:
            return desk.cells(unit)
        finally:
            desks.put(desk)

    pool = ThreadPoolExecutor(threads, thread_name_prefix="sweep")
    ahead: deque[Future[list[Cell]]] = deque()
    try:
        for unit in _units(cells, len(sweep.bars)):
            ahead.append(pool.submit(work, unit))
            if len(ahead) == threads * _UNITS_AHEAD:
                yield from _result(ahead.popleft(), checkpoint)
        while ahead:
            yield from _result(ahead.popleft(), checkpoint)
    finally:
        stopped.set()
        pool.shutdown(wait=True, cancel_futures=True)


def _units(cells: range, bars: int) -> Iterator[range]:
    """Cut cells into units of some milliseconds each."""
    size = max(1, _UNIT_BARS // max(bars, 1) // LANES) * LANES
    size = min(size, 64 * LANES)
    for start in range(0, len(cells), size):
        yield cells[start : start + size]


def _result(future: Future[list[Cell]], checkpoint: Callable[[], None] | None) -> list[Cell]:
    while True:
        if checkpoint is not None:
            checkpoint()
        if wait([future], timeout=_LONGEST_WAIT_S).done:
            return future.result()
