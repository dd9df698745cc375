"""What a run adds to a strategy: money, costs, range and the engine whose rules to follow."""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from enum import Enum
from math import isfinite
from typing import Any

from core.errors import Fault, InvalidInputError
from core.trading.bars.instants import to_micros
from core.trading.bars.timeframes import MICROSECONDS_PER_DAY


class Profile(Enum):
    """Whose rules fill the orders: ours, or those of an engine that people come from."""

    NATIVE = "native"
    BACKTESTING_PY = "backtesting.py"
    VECTORBT = "vectorbt"


@dataclass(frozen=True, slots=True)
class Costs:
    """What trading costs; per fill, and per year for what is held.

    `commission_bps`, `slippage_bps`: basis points of the price. `per_unit`, `minimum`: currency
    per unit and per fill. `borrow_apr`, `finance_apr`: percent a year (ACT/365) of the value of
    a short and of negative cash.
    """

    commission_bps: float = 0.0
    per_unit: float = 0.0
    minimum: float = 0.0
    slippage_bps: float = 0.0
    borrow_apr: float = 0.0
    finance_apr: float = 0.0

    def as_document(self) -> dict[str, float]:
        """Answer the costs as they stand in the result document."""
        return {name: float(getattr(self, name)) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class Settings:
    """How to run a strategy.

    `cash`: the starting cash. `lot`: the smallest tradable quantity, 0 for fractions. `start`,
    `end`: bars that end after `start` and not after `end` are traded; a date means its first or
    last moment in UTC, and for date-only bars the date itself, both inclusive; None is the
    first or last bar. `seed`: kept in the result's identity. `close_at_end`: close what is
    still open at the last close.
    """

    cash: float = 10_000.0
    lot: float = 0.0
    costs: Costs = field(default_factory=Costs)
    profile: Profile = Profile.NATIVE
    start: date | datetime | None = None
    end: date | datetime | None = None
    seed: int = 0
    close_at_end: bool = False

    def as_document(self) -> dict[str, Any]:
        """Answer the settings as they stand in the result document; moments as ISO 8601."""
        return {
            "cash": float(self.cash),
            "lot": float(self.lot),
            "costs": self.costs.as_document(),
            "profile": self.profile.value,
            "from": self.start.isoformat() if self.start else None,
            "to": self.end.isoformat() if self.end else None,
            "seed": self.seed,
            "close_at_end": self.close_at_end,
        }


def check_settings(settings: Settings) -> None:
    """Raise InvalidInputError with every fault of the settings; answer nothing if there is none."""
    faults = settings_faults(settings)
    if faults:
        raise InvalidInputError("The settings of the run are not valid.", errors=faults)


def settings_faults(settings: Settings) -> list[Fault]:
    """Answer every fault of the settings, each with a pointer into their document."""
    faults = []
    if not (isfinite(settings.cash) and settings.cash > 0.0):
        faults.append(_out_of_range("/cash", "must be a number greater than 0"))
    if not (isfinite(settings.lot) and settings.lot >= 0.0):
        faults.append(_out_of_range("/lot", "must be a number not less than 0"))
    for name, value in settings.costs.as_document().items():
        if not (isfinite(value) and value >= 0.0):
            faults.append(_out_of_range(f"/costs/{name}", "must be a number not less than 0"))
        elif name.endswith("_bps") and value >= _WHOLE_BPS:
            faults.append(_out_of_range(f"/costs/{name}", "must be less than 10,000"))
    for name, moment in (("from", settings.start), ("to", settings.end)):
        if isinstance(moment, datetime) and moment.tzinfo is None:
            faults.append(_bad_range(f"/{name}", "a time needs an offset from UTC"))
    if not faults and _reversed(settings):
        faults.append(_bad_range("/from", "the range begins after it ends"))
    return faults


_WHOLE_BPS = 10_000.0


def _out_of_range(path: str, message: str) -> Fault:
    return Fault(path=path, code="out_of_range", message=message)


def _bad_range(path: str, message: str) -> Fault:
    return Fault(path=path, code="bad_range", message=message)


def _reversed(settings: Settings) -> bool:
    start, end = settings.start, settings.end
    if start is None or end is None:
        return False
    if isinstance(start, datetime) and isinstance(end, datetime):
        return start > end
    return start.isoformat()[:10] > end.isoformat()[:10]


def stamp_limits(settings: Settings, label_offset: int) -> tuple[int | None, int | None]:
    """Answer the stamp after which bars are traded, and the last that is; None: of all bars.

    `label_offset`: as in `core.trading.bars.series.Bars`.
    """
    after, last = settings.start, settings.end
    return (
        None if after is None else _stamp(after, label_offset - 1 if label_offset else 0),
        None if last is None else _stamp(last, label_offset or MICROSECONDS_PER_DAY),
    )


def _stamp(moment: date | datetime, into_the_day: int) -> int:
    if isinstance(moment, datetime):
        return to_micros(moment)
    return to_micros(datetime(moment.year, moment.month, moment.day, tzinfo=UTC)) + into_the_day


def barless(extent: str) -> InvalidInputError:
    """Answer the error of a range that holds no bar; `extent`: from when to when there are some."""
    fault = Fault("/from", "bad_range", "there is no bar in the range", extent)
    return InvalidInputError("The range holds no bars.", errors=[fault])
