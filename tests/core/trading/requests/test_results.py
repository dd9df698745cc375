import csv
import io
import json
from uuid import UUID

import pytest

from core.errors import ConflictError, InvalidInputError, NotFoundError
from core.storage.blobs import open_store
from core.trading.requests.results import (
    TRADE_COLUMNS,
    draw_series,
    page_of_trades,
    read_part,
    trades_as_csv,
)
from tests.builders import a_backtest, a_client, a_tenant

TENANT = UUID(int=1)
LINES = "\n".join(json.dumps({"symbol": "A", "pnl": number}) for number in range(5)).encode()


def test_pages_of_trades_tile_the_whole() -> None:
    pages = [page_of_trades(LINES, after=after, limit=2) for after in (0, 2, 4, 6)]
    assert [trade["pnl"] for items, _ in pages for trade in items] == list(range(5))
    assert {total for _, total in pages} == {5}
    assert page_of_trades(b"", after=0, limit=2) == ([], 0)


@pytest.mark.usefixtures("database")
def test_the_columns_of_the_csv_are_those_of_a_trade() -> None:
    tenant = a_tenant()
    client = a_client(tenant)
    path = f"/api/v1/trading/backtesting/{a_backtest(client, tenant)}/trades"
    trade = client.get(path).json["items"][0]
    assert set(trade) == set(TRADE_COLUMNS)
    rows = list(csv.DictReader(io.StringIO(trades_as_csv(json.dumps(trade).encode()))))
    assert [list(row) for row in rows] == [list(TRADE_COLUMNS)]


def test_series_keep_their_extremes_when_thinned() -> None:
    equity = [100.0] * 500
    equity[123], equity[321] = 1.0, 999.0
    preview = {"time": [str(n) for n in range(500)], "equity": equity, "drawdown": [0.0] * 500}
    drawn = draw_series(json.dumps(preview).encode(), ["equity"], 20)
    assert drawn.keys() == {"time", "equity"}
    assert len(drawn["equity"]) < 100
    assert {1.0, 999.0} <= set(drawn["equity"])
    assert drawn["time"][drawn["equity"].index(1.0)] == "123"


def test_every_fault_of_a_drawing_is_named_at_once() -> None:
    with pytest.raises(InvalidInputError) as raised:
        draw_series(b"{}", ["a", "b"], 1)
    assert [fault.path for fault in raised.value.errors] == ["/names", "/names", "/points"]


def test_a_part_that_is_not_there_yet_is_told_from_one_that_is_lost() -> None:
    store = open_store("memory://")
    with pytest.raises(ConflictError):
        read_part(store, TENANT, None, "trades.jsonl")
    with pytest.raises(NotFoundError) as raised:
        read_part(store, TENANT, "ab", "trades.jsonl")
    assert raised.value.instance_code == "result_lost"


@pytest.mark.parametrize("symbol", ["=cmd|calc!A1", "+1", "-1", "@SUM(A1)"])
def test_no_cell_of_the_csv_is_a_formula(symbol: str) -> None:
    line = json.dumps({"symbol": symbol, "pnl": -1.5}).encode()
    rows = list(csv.DictReader(io.StringIO(trades_as_csv(line))))
    assert (rows[0]["symbol"], rows[0]["pnl"]) == (f"'{symbol}", "-1.5")
