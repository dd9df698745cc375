"""Which symbols a strategy says it trades."""

from core.errors import Fault
from core.trading.strategy.rules import Strategy


def symbol_fault(strategy: Strategy, symbol: str) -> Fault | None:
    """Answer the fault of bars whose symbol the universe does not name, None where all is well.

    A strategy that names no symbols trades any. Names are compared as they are written.
    """
    if not strategy.symbols or symbol in strategy.symbols:
        return None
    return Fault(
        path="/universe/symbols",
        code="unknown_symbol",
        message=f"The data is of {symbol}; the universe has {', '.join(strategy.symbols)}.",
        hint="Choose data of a symbol of the universe, or leave the universe out.",
    )
