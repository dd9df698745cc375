"""How a sweep is cut into parts: by what its cells are estimated to cost.

A part takes about a second of a core, some seconds where a strategy trades at every turn: short
enough to let others in between, to show progress and to lose little to a kill; long enough that
queueing it, and computing what its cells share, costs little beside. What reads the position runs
bar by bar through a program, which takes ten to twenty times as long as events that are ready.
"""

from core.trading.strategy.rules import Strategy

_BARS_IN_PART = 200_000_000
_MOST_IN_PART = 2_000
_SLOWNESS = 10
# As many workers may help, but none for work that is not worth beginning.
_SHARED_AMONG = 8
_FEWEST_BARS_IN_PART = 12_000_000
_FEWEST_OF_FEW_BARS = 250
_FEWEST_IN_PART = 10
_MOST_PARTS = 2_000


def cells_in_part(strategy: Strategy, rows: int, cells: int) -> int:
    """Answer how many of a sweep's cells, over so many bars each, one part does."""
    bars = max(rows, 1) * (_SLOWNESS if reads_position(strategy) else 1)
    most = min(max(_BARS_IN_PART // bars, _FEWEST_IN_PART), _MOST_IN_PART)
    fewest = min(max(_FEWEST_BARS_IN_PART // bars, _FEWEST_IN_PART), _FEWEST_OF_FEW_BARS)
    size = min(max(-(-cells // _SHARED_AMONG), fewest), most)
    return min(max(size, -(-cells // _MOST_PARTS)), cells)


def reads_position(strategy: Strategy) -> bool:
    """Tell whether a strategy's conditions depend on what it holds."""
    sides = [side for side in (strategy.long, strategy.short) if side is not None]
    conditions = [part for side in sides for part in (side.entry, side.exit) if part is not None]
    return any(part.on_position for part in conditions)
