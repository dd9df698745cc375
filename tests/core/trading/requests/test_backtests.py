from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, select

from core.errors import InvalidInputError
from core.jobs.models import Job
from core.tenancy.session import open_session
from core.trading.models import BarSet
from core.trading.requests.backtests import BacktestRequest, request_backtest
from core.trading.requests.strategies import create_strategy
from tests.builders import a_tenant

pytestmark = pytest.mark.usefixtures("database")


def ask(tenant: UUID, *, symbol: str, timeframe: str = "1d", **more: Any) -> int:
    """Ask for a backtest of a strategy over bars of that symbol; answer how many jobs there are."""
    document = {
        "spec": "strategy/1",
        "name": "high",
        "timeframe": "1d",
        "long": {"entry": "close > open", "exit": "close < open"},
    }
    with open_session(tenant) as session:
        made = create_strategy(session, name="one", document=document | more, created_by=uuid4())
        bars = BarSet(
            name="bars",
            symbol=symbol,
            timeframe=timeframe,
            file_name="bars.csv",
            upload_key="none",
            upload_bytes=0,
            data_key="some",
        )
        session.add(bars)
        session.flush()
        request = BacktestRequest(strategy_id=UUID(made["id"]), data_id=bars.id)
        request_backtest(session, request=request, created_by=uuid4())
        return session.scalar(select(func.count()).select_from(Job)) or 0


def test_data_that_the_strategy_does_not_trade_is_refused_before_any_job() -> None:
    tenant = a_tenant()
    universe = {"symbols": ["EURUSD"]}
    with pytest.raises(InvalidInputError) as caught:
        ask(tenant, symbol="AAPL", timeframe="1h", universe=universe)
    faults = {(fault.path, fault.code) for fault in caught.value.errors}
    assert faults == {("/data_id", "bad_timeframe"), ("/universe/symbols", "unknown_symbol")}
    assert all(fault.hint for fault in caught.value.errors)
    assert ask(tenant, symbol="EURUSD", universe=universe) == 1
    assert ask(tenant, symbol="AAPL") == 2
