"""Backtests as they are asked for and read; what runs them is `core.trading.runs`."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime
from math import isfinite
from typing import Any
from uuid import UUID

from sqlalchemy import select

from core.clock import iso
from core.errors import ConflictError, Fault, InvalidInputError, NotFoundError
from core.jobs.kinds import RUN_BACKTEST
from core.jobs.models import Job, standing
from core.jobs.submit import submit_job
from core.settings import get_settings
from core.tenancy.pages import Page, read_page
from core.tenancy.session import TenantSession
from core.trading.backtest.settings import (
    Costs,
    Profile,
    Settings,
    barless,
    settings_faults,
    stamp_limits,
)
from core.trading.backtest.signing import public_key_hex, signing_key
from core.trading.bars.instants import to_micros
from core.trading.models import Backtest, BarSet, Strategy
from core.trading.requests.standing import of_status
from core.trading.requests.strategies import current_version
from core.trading.strategy.findings import pointer
from core.trading.strategy.parameters import resolve_params
from core.trading.strategy.reading import read_strategy
from core.trading.strategy.rules import Strategy as StrategyRules
from core.trading.strategy.universe import symbol_fault
from core.wording import counted, in_full

MOST_CASH = 1e15
_DATE_LENGTH = len("2000-01-01")


class StrategyDeletedError(InvalidInputError):
    """Raised when a strategy was deleted after its run was asked for."""

    code = "strategy_deleted"
    title = "The strategy was deleted"


@dataclass(frozen=True, slots=True)
class BacktestRequest:
    """What to run: what a strategy says now over a bar set, with money and costs.

    `lot` None: the bar set's. `start`, `end`: ISO 8601 dates or moments, None for all bars.
    """

    strategy_id: UUID
    data_id: UUID
    params: Mapping[str, Any] = field(default_factory=dict)
    start: str | None = None
    end: str | None = None
    cash: float = 10_000.0
    costs: Mapping[str, float] = field(default_factory=dict)
    lot: float | None = None
    profile: str = Profile.NATIVE.value


def request_backtest(
    session: TenantSession, *, request: BacktestRequest, created_by: UUID
) -> dict[str, Any]:
    """Keep a backtest and queue its job in one transaction; answer both ids.

    Raises NotFoundError for a strategy or data that is not there, ConflictError for data whose
    import failed, InvalidInputError with every fault of settings, params and the data's fit.
    """
    version = current_version(session, request.strategy_id)
    bar_set = usable_bars(session, request.data_id)
    strategy = read_strategy(version.document)
    faults: list[Fault] = []
    with gathering(faults):
        settings = settings_of(request, lot=bar_set.lot)
        refuse_barless(settings, bar_set)
    with gathering(faults):
        resolve_params(strategy, request.params)
    with gathering(faults):
        refuse_unfit(strategy, bar_set)
    if faults:
        detail = f"The backtest does not fit; {counted(len(faults), 'fault')} found."
        raise InvalidInputError(detail, errors=faults)
    backtest = Backtest(
        strategy_id=version.strategy_id,
        version_id=version.id,
        bar_set_id=bar_set.id,
        settings={"params": dict(request.params), **settings.as_document()},
        created_by=created_by,
    )
    session.add(backtest)
    session.flush()
    backtest.job_id = submit_job(
        session,
        kind=RUN_BACKTEST,
        args={"backtest_id": str(backtest.id)},
        key=str(backtest.id),
        created_by=created_by,
    )
    return {"id": str(backtest.id), "job_id": str(backtest.job_id), "status": "queued"}


@contextmanager
def gathering(faults: list[Fault]) -> Iterator[None]:
    """Add the faults of an InvalidInputError in the block to those that are known."""
    try:
        yield
    except InvalidInputError as error:
        if not error.errors:
            raise
        faults += error.errors


def settings_of(request: BacktestRequest, *, lot: float) -> Settings:
    """Answer the settings of a run; InvalidInputError lists every fault of the request."""
    faults: list[Fault] = []
    start = _moment("/from", request.start, faults)
    end = _moment("/to", request.end, faults)
    profiles = [profile.value for profile in Profile]
    if request.profile not in profiles:
        text = f"There is no profile {request.profile[:40]!r}."
        faults.append(Fault("/profile", "one_of", text, f"Take one of {', '.join(profiles)}."))
    settings = Settings(
        cash=request.cash,
        lot=lot if request.lot is None else request.lot,
        costs=_costs(request.costs, faults),
        profile=Profile(request.profile) if not faults else Profile.NATIVE,
        start=start,
        end=end,
    )
    faults += settings_faults(settings)
    if isfinite(settings.cash) and settings.cash > MOST_CASH:
        faults.append(Fault("/cash", "out_of_range", f"must be at most {in_full(MOST_CASH)}"))
    if faults:
        raise InvalidInputError("The settings of the run are not valid.", errors=faults)
    return settings


def get_backtest(session: TenantSession, backtest_id: UUID) -> tuple[dict[str, Any], str | None]:
    """Answer a backtest without its result, and the result document as stored text.

    Raises NotFoundError where it is not there.
    """
    backtest = find_backtest(session, backtest_id)
    job = session.get(Job, backtest.job_id) if backtest.job_id else None
    return (
        {
            **listed_backtest(backtest),
            # An ended job's row is deleted one day; what it made stays.
            "status": job.status if job else ("succeeded" if backtest.result_id else "failed"),
            "progress": job.progress if job else 1.0,
            "error": job.error if job and job.status == "failed" else None,
            "settings": backtest.settings,
            "signature": backtest.signature,
            "public_key": _public_key() if backtest.signature else None,
        },
        backtest.document,
    )


def _public_key() -> str:
    return public_key_hex(signing_key(get_settings().required("result_signing_key")))


def find_backtest(session: TenantSession, backtest_id: UUID) -> Backtest:
    """Answer a backtest's row; NotFoundError where it is not there."""
    backtest = session.get(Backtest, backtest_id)
    if backtest is None:
        raise NotFoundError("There is no backtest of this id.", code="backtest_not_found")
    return backtest


def list_backtests(
    session: TenantSession,
    *,
    limit: int,
    cursor: str | None = None,
    strategy_id: UUID | None = None,
    status: str | None = None,
) -> Page[Backtest]:
    """Answer a page of the backtests, newest first, of one strategy and status if asked."""
    statement = of_status(select(Backtest), status, made=Backtest.result_id)
    if strategy_id is not None:
        statement = statement.where(Backtest.strategy_id == strategy_id)
    return read_page(
        session,
        statement,
        by=(Backtest.created_at, Backtest.id),
        limit=limit,
        cursor=cursor,
    )


def listed_backtest(backtest: Backtest) -> dict[str, Any]:
    """Answer a backtest as a row of a list."""
    return {
        "id": str(backtest.id),
        "job_id": str(backtest.job_id),
        "strategy_id": str(backtest.strategy_id),
        "data_id": str(backtest.bar_set_id),
        "result_id": backtest.result_id,
        "created_at": iso(backtest.created_at),
    }


def refuse_deleted(session: TenantSession, strategy_id: UUID, *, asked: str) -> None:
    """Raise StrategyDeletedError where a strategy is gone since its run was `asked` for."""
    deleted = session.scalar(select(Strategy.deleted_at).where(Strategy.id == strategy_id))
    if deleted is not None:
        raise StrategyDeletedError(
            f"The strategy was deleted before its {asked} ran. Create it again and ask anew."
        )


def refuse_unfit(strategy: StrategyRules, bar_set: BarSet) -> None:
    """Raise InvalidInputError where a strategy trades other bars than a bar set has."""
    faults: list[Fault] = []
    if strategy.timeframe.label != bar_set.timeframe:
        text = (
            f"The strategy trades {strategy.timeframe.label} bars, the data has "
            f"{bar_set.timeframe} bars."
        )
        hint = "Choose data of the strategy's timeframe."
        faults.append(Fault("/data_id", "bad_timeframe", text, hint))
    fault = symbol_fault(strategy, bar_set.symbol)
    if fault is not None:
        faults.append(fault)
    if faults:
        raise InvalidInputError("The strategy does not fit the data.", errors=faults)


def refuse_barless(settings: Settings, bar_set: BarSet) -> None:
    """Raise InvalidInputError for a range before or after all bars; the run looks for gaps."""
    if bar_set.certificate is None or bar_set.first_at is None or bar_set.last_at is None:
        return
    shown = bar_set.certificate["first"]
    first, last = to_micros(bar_set.first_at), to_micros(bar_set.last_at)
    dated = len(shown) == _DATE_LENGTH
    label_offset = first - to_micros(datetime.fromisoformat(f"{shown}T00Z")) if dated else 0
    after, until = stamp_limits(settings, label_offset)
    begin = first if after is None else max(first, after + 1)
    end = last if until is None else min(last, until)
    if begin > end:
        raise barless(f"the bars go from {shown} to {bar_set.certificate['last']}")


def usable_bars(session: TenantSession, data_id: UUID) -> BarSet:
    """Answer a bar set that can be run over.

    Raises NotFoundError where it is not there, ConflictError where its import has not succeeded.
    """
    bar_set = session.get(BarSet, data_id)
    if bar_set is None:
        raise NotFoundError("There is no data of this id.", code="data_not_found")
    if bar_set.data_key is None:
        status = session.scalar(select(Job.status).where(Job.id == bar_set.job_id)) or "failed"
        raise ConflictError(
            f"The data is not ready: its import {standing(status)}. "
            + ("Upload it again." if status in {"failed", "cancelled"} else "Wait for its job."),
            code="data_not_ready",
            job_id=str(bar_set.job_id),
        )
    return bar_set


def _costs(given: Mapping[str, float], faults: list[Fault]) -> Costs:
    known = Costs.__slots__
    hint = f"Take some of {', '.join(known)}."
    faults += [
        Fault(pointer("costs", name), "unknown_key", f"There is no cost {name[:40]!r}.", hint)
        for name in given
        if name not in known
    ]
    return Costs(**{name: value for name, value in given.items() if name in known})


def _moment(path: str, text: str | None, faults: list[Fault]) -> date | datetime | None:
    if text is None:
        return None
    try:
        if len(text) == _DATE_LENGTH:
            return date.fromisoformat(text)
        return datetime.fromisoformat(text)
    except ValueError:
        hint = "Write 2020-01-31, or 2020-01-31T09:30:00Z."
        faults.append(Fault(path, "bad_time", f"{text[:40]!r} is no ISO 8601 date.", hint))
        return None
