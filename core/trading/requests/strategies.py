"""Strategies as their owners handle them: create, edit, list, delete."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, update

from core.clock import iso
from core.errors import Fault, InvalidInputError, NotFoundError
from core.tenancy.pages import Page, read_page
from core.tenancy.session import TenantSession
from core.trading.models import Strategy, StrategyVersion
from core.trading.strategy import reading
from core.usage.quotas import current_plan, take_place

LONGEST_NAME = 200


def validate_document(document: Mapping[str, Any]) -> dict[str, Any]:
    """Answer what a valid document amounts to: its hash and what to mind.

    Raises InvalidInputError with every fault at once.
    """
    strategy = reading.read_strategy(document)
    return {
        "valid": True,
        "spec_hash": strategy.spec_hash,
        "warnings": [warning.as_document() for warning in strategy.warnings],
    }


def create_strategy(
    session: TenantSession, *, name: str, document: Mapping[str, Any], created_by: UUID
) -> dict[str, Any]:
    """Keep a new strategy with its first version, and answer it as it is published.

    Raises InvalidInputError for the document, QuotaExceededError at the plan's limit.
    """
    _refuse_name(name)
    read = reading.read_strategy(document)
    take_place(
        session,
        metric="trading_strategies",
        limit=current_plan(session).trading_strategies,
        used=select(func.count()).select_from(Strategy).where(Strategy.deleted_at.is_(None)),
    )
    strategy = Strategy(name=name, created_by=created_by)
    session.add(strategy)
    session.flush()
    version = StrategyVersion(
        strategy_id=strategy.id,
        version=1,
        spec_hash=read.spec_hash,
        document=dict(document),
    )
    session.add(version)
    session.flush()
    return _document(strategy, version, warnings=read.warnings)


def edit_strategy(
    session: TenantSession, strategy_id: UUID, *, name: str, document: Mapping[str, Any]
) -> dict[str, Any]:
    """Give a strategy a new name and content; content it had before is its version of then.

    Raises NotFoundError, InvalidInputError.
    """
    _refuse_name(name)
    read = reading.read_strategy(document)
    strategy = _present(session, strategy_id, lock=True)
    strategy.name = name
    version = session.scalar(
        select(StrategyVersion).where(
            StrategyVersion.strategy_id == strategy_id,
            StrategyVersion.spec_hash == read.spec_hash,
        )
    )
    if version is None:
        version = StrategyVersion(
            strategy_id=strategy_id,
            version=_count_versions(session, strategy_id) + 1,
            spec_hash=read.spec_hash,
            document=dict(document),
        )
        session.add(version)
    strategy.current = version.version
    session.flush()
    return _document(strategy, version, warnings=read.warnings)


def get_strategy(session: TenantSession, strategy_id: UUID) -> dict[str, Any]:
    """Answer a strategy with what it says now; NotFoundError where it is not there."""
    strategy = _present(session, strategy_id)
    version = current_version(session, strategy_id)
    warnings = reading.read_strategy(version.document).warnings
    return _document(strategy, version, warnings=warnings)


def list_strategies(
    session: TenantSession, *, limit: int, cursor: str | None = None
) -> Page[Strategy]:
    """Answer a page of the strategies that are not deleted, newest first."""
    return read_page(
        session,
        select(Strategy).where(Strategy.deleted_at.is_(None)),
        by=(Strategy.created_at, Strategy.id),
        limit=limit,
        cursor=cursor,
    )


def delete_strategy(session: TenantSession, strategy_id: UUID) -> None:
    """Delete a strategy; its backtests stay. NotFoundError where it is not there."""
    deleted = session.scalar(
        update(Strategy)
        .where(Strategy.id == strategy_id, Strategy.deleted_at.is_(None))
        .values(deleted_at=func.now())
        .returning(Strategy.id)
    )
    if deleted is None:
        raise _not_found()


def listed_strategy(strategy: Strategy) -> dict[str, Any]:
    """Answer a strategy as a row of a list."""
    return {
        "id": str(strategy.id),
        "name": strategy.name,
        "created_at": iso(strategy.created_at),
    }


def current_version(session: TenantSession, strategy_id: UUID) -> StrategyVersion:
    """Answer what a strategy says now; NotFoundError where it was deleted or never was."""
    version = session.scalar(
        select(StrategyVersion)
        .join(Strategy, Strategy.id == StrategyVersion.strategy_id)
        .where(
            Strategy.id == strategy_id,
            Strategy.deleted_at.is_(None),
            StrategyVersion.version == Strategy.current,
        )
    )
    if version is None:
        raise _not_found()
    return version


def _count_versions(session: TenantSession, strategy_id: UUID) -> int:
    versions = select(func.count()).where(StrategyVersion.strategy_id == strategy_id)
    return session.scalar(versions) or 0


def _present(session: TenantSession, strategy_id: UUID, *, lock: bool = False) -> Strategy:
    statement = select(Strategy).where(Strategy.id == strategy_id, Strategy.deleted_at.is_(None))
    strategy = session.scalar(statement.with_for_update() if lock else statement)
    if strategy is None:
        raise _not_found()
    return strategy


def _not_found() -> NotFoundError:
    return NotFoundError("There is no strategy of this id.", code="strategy_not_found")


def _refuse_name(name: str) -> None:
    if not name.strip() or len(name) > LONGEST_NAME or not name.isprintable():
        text = f"A name has 1 to {LONGEST_NAME} printable characters."
        fault = Fault("/name", "out_of_range", text)
        raise InvalidInputError("The strategy's name is not valid.", errors=[fault])


def _document(
    strategy: Strategy, version: StrategyVersion, *, warnings: tuple[Fault, ...]
) -> dict[str, Any]:
    return {
        "id": str(strategy.id),
        "name": strategy.name,
        "version": version.version,
        "spec_hash": version.spec_hash,
        "document": version.document,
        "warnings": [warning.as_document() for warning in warnings],
        "created_at": iso(strategy.created_at),
    }
