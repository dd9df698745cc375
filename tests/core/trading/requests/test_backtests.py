from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, time
from typing import Any
from uuid import UUID, uuid4

import pytest
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, select

from core.errors import InvalidInputError
from core.jobs.models import Job
from core.tenancy.session import open_session
from core.trading.backtest.bar_range import traded_range
from core.trading.backtest.settings import Settings, settings_faults
from core.trading.bars.certificate import certify
from core.trading.bars.instants import to_moment
from core.trading.bars.timeframes import MICROSECONDS_PER_DAY, Timeframe
from core.trading.models import BarSet
from core.trading.requests.backtests import BacktestRequest, refuse_barless, request_backtest
from core.trading.requests.strategies import create_strategy
from tests.builders import a_backtest, a_client, a_strategy, a_tenant, some_bars, some_data
from tests.core.trading.backtest.worked import flat, market

pytestmark = pytest.mark.usefixtures("database")
BACKTESTS = "/api/v1/trading/backtesting/"


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


HOURS = market(*flat(1, 72), timeframe=Timeframe.H1)
DATES = replace(market(*flat(1, 3)), label_offset=MICROSECONDS_PER_DAY)
WEEKS = replace(DATES, label_offset=7 * MICROSECONDS_PER_DAY)
_DAYS = st.dates(date(1969, 12, 24), date(1970, 1, 6))
_FROM_MIDNIGHT = st.builds(
    datetime.combine, _DAYS, st.builds(time, st.integers(0, 23), tzinfo=st.just(UTC))
)
_WHEN = st.none() | _DAYS | _FROM_MIDNIGHT


def refusal(function: Callable[..., object], *given: object) -> Any:
    try:
        function(*given)
    except InvalidInputError as error:
        return error.problem()
    return None


@given(start=_WHEN, end=_WHEN)
def test_a_request_knows_of_bars_without_gaps_what_their_run_would(
    start: date | None, end: date | None
) -> None:
    settings = Settings(start=start, end=end)
    for bars in (HOURS, DATES, WEEKS) if not settings_faults(settings) else ():
        row = BarSet(
            name="bars",
            symbol="TEST",
            timeframe=bars.timeframe.label,
            file_name="bars.csv",
            upload_key="none",
            upload_bytes=0,
            first_at=to_moment(int(bars.stamps[0])),
            last_at=to_moment(int(bars.stamps[-1])),
            certificate=certify(bars),
        )
        at_once = refusal(refuse_barless, settings, row)
        at_run = refusal(traded_range, bars, settings)
        # Within a day there may be no close of a daily bar, which no request can know.
        assert at_once in ([at_run] if bars is HOURS else [None, at_run])


@pytest.fixture(scope="module")
def tenant(database: str) -> UUID:
    del database
    return a_tenant(tier="enterprise")


@pytest.fixture(scope="module")
def client(tenant: UUID) -> FlaskClient:
    return a_client(tenant)


@pytest.fixture(scope="module")
def data(client: FlaskClient, tenant: UUID) -> str:
    return some_data(client, tenant)


@pytest.fixture(scope="module")
def strategy(client: FlaskClient) -> str:
    return a_strategy(client)


@pytest.mark.parametrize(
    "asked",
    [
        {"from": "2020-04-30"},
        {"to": "2019-12-31"},
        {"from": "2020-04-30T00:00:00Z"},
        {"from": "2020-02-01T00:00:00Z", "to": "2020-02-01T00:00:00Z"},
        {"from": "9999-12-31"},
        {"to": "0001-01-01T00:00:00+14:00"},
    ],
)
def test_a_range_beside_all_bars_is_refused_with_where_they_are(
    client: FlaskClient, data: str, strategy: str, asked: dict[str, str]
) -> None:
    body = {"strategy_id": strategy, "data_id": data, **asked}
    answer = client.post(BACKTESTS, json=body)
    (fault,) = answer.json["errors"]
    assert (answer.status_code, fault["path"], fault["code"]) == (422, "/from", "bad_range")
    assert fault["hint"] == "the bars go from 2020-01-01 to 2020-04-29"


@pytest.mark.parametrize("asked", [{"from": "2020-04-29"}, {"to": "9999-12-31"}])
def test_a_range_that_reaches_the_last_bar_is_taken(
    client: FlaskClient, tenant: UUID, data: str, strategy: str, asked: dict[str, str]
) -> None:
    made = a_backtest(client, tenant, data_id=data, strategy_id=strategy, **asked)
    assert client.get(BACKTESTS + made).json["status"] == "succeeded"


def test_a_range_within_a_gap_is_taken_and_fails_with_the_same_words(
    client: FlaskClient, tenant: UUID, strategy: str
) -> None:
    lines = some_bars().splitlines()
    gappy = some_data(client, tenant, b"\n".join(lines[:60] + lines[80:]))
    span = {"from": "2020-03-05", "to": "2020-03-10"}
    failed = a_backtest(client, tenant, data_id=gappy, strategy_id=strategy, **span)
    done = client.get(BACKTESTS + failed).json
    assert (done["status"], done["error"]["errors"][0]["code"]) == ("failed", "bad_range")
    assert done["error"]["errors"][0]["hint"] == "the bars go from 2020-01-01 to 2020-04-29"
