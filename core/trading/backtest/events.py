"""The codes that the compiled functions speak in, and their published names."""

from enum import IntEnum

LONG_ENTRY = 1
LONG_EXIT = 2
SHORT_ENTRY = 4
SHORT_EXIT = 8

IN_SESSION = 1
SESSION_CLOSE = 2
SESSION_START = 4

DAILY_HALT = 1
DRAWDOWN_HALT = 2


class ExitReason(IntEnum):
    """Why a position was closed; the name in lower case stands in the trades."""

    NONE = 0
    SIGNAL = 1
    STOP = 2
    TARGET = 3
    TRAIL = 4
    MAX_BARS = 5
    HALT = 6
    SESSION_CLOSE = 7
    REVERSE = 8
    RUIN = 9
    END = 10


class RejectReason(IntEnum):
    """Why an entry order was not filled; the name in lower case stands in the result."""

    NONE = 0
    UNKNOWN_PRICE = 1
    UNKNOWN_LEVEL = 2
    STOP_ON_WRONG_SIDE = 3
    TARGET_ON_WRONG_SIDE = 4
    TRAIL_ON_WRONG_SIDE = 5
    UNKNOWN_SIZE = 6
    SIZE_ZERO = 7
    INSUFFICIENT_FUNDS = 8
    OUT_OF_SESSION = 9


class SizeRule(IntEnum):
    """How the kernel turns a weight into units."""

    WEIGHT = 0  # a fraction of equity, costs included
    UNITS = 1
    RISK = 2  # a fraction of equity lost at the stop, both fees included
    WHOLE_UNITS = 3  # the backtesting.py profile
    ALL_CASH = 4  # the vectorbt profile
