"""What is kept beside a result document: its series and its trades, served a part at a time."""

import csv
import io
import json
from collections.abc import Sequence
from typing import Any, Literal
from uuid import UUID

from core.errors import ConflictError, Fault, InvalidInputError, NotFoundError
from core.storage.blobs import BlobStore
from core.storage.keys import tenant_key
from core.trading.backtest.drawing import PREVIEW_POINTS, thinned

ResultPart = Literal["series.arrow", "preview.json", "trades.jsonl"]
SERIES = ("equity", "drawdown")
FEWEST_POINTS = 10


def result_key(tenant_id: UUID, result_id: str, part: ResultPart) -> str:
    """Answer the key under which a part of a result is stored."""
    return tenant_key(tenant_id, "results", f"{result_id}/{part}")


def read_part(store: BlobStore, tenant_id: UUID, result_id: str | None, part: ResultPart) -> bytes:
    """Answer a stored part.

    Raises ConflictError while the backtest has no result yet, NotFoundError, code `result_lost`.
    """
    if result_id is None:
        raise ConflictError(
            "The backtest has no result yet. Wait for its job to succeed.", code="no_result_yet"
        )
    try:
        return store.get(result_key(tenant_id, result_id, part))
    except NotFoundError:
        raise NotFoundError(
            "This part of the result is stored no longer. Run the backtest again.",
            code="result_lost",
        ) from None


def draw_series(preview: bytes, names: Sequence[str], points: int) -> dict[str, list[Any]]:
    """Answer the named series at about `points` places, keeping minima and maxima.

    Raises InvalidInputError for an unknown name or a number of points out of range.
    """
    faults = [
        Fault("/names", "unknown_name", f"There is no series {name!r}.", "equity, drawdown")
        for name in names
        if name not in SERIES
    ]
    if not FEWEST_POINTS <= points <= PREVIEW_POINTS:
        text = f"`points` is {FEWEST_POINTS} to {PREVIEW_POINTS}."
        hint = "Accept: application/vnd.apache.arrow.file answers every bar."
        faults.append(Fault("/points", "out_of_range", text, hint))
    if faults:
        raise InvalidInputError("The series cannot be drawn so.", errors=faults)
    columns = json.loads(preview)
    return thinned({name: columns[name] for name in ("time", *names)}, points)


def page_of_trades(lines: bytes, *, after: int, limit: int) -> tuple[list[Any], int]:
    """Answer the trades from place `after` on, at most `limit`, and how many there are."""
    trades = lines.splitlines()
    return [json.loads(line) for line in trades[after : after + limit]], len(trades)


def trades_as_csv(lines: bytes) -> str:
    """Answer all trades as CSV with a header, in the order of their exits."""
    trades = [json.loads(line) for line in lines.splitlines()]
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=TRADE_COLUMNS)
    writer.writeheader()
    writer.writerows(trade | {"symbol": _as_text(trade["symbol"])} for trade in trades)
    return text.getvalue()


def _as_text(cell: str) -> str:
    """Answer a cell that no spreadsheet takes for a formula (OWASP, CSV injection)."""
    return f"'{cell}" if cell.startswith(_FORMULA) else cell


_FORMULA = ("=", "+", "-", "@")
TRADE_COLUMNS = (
    "symbol",
    "side",
    "entry_bar",
    "exit_bar",
    "entry_time",
    "exit_time",
    "entry_price",
    "exit_price",
    "quantity",
    "pnl",
    "fees",
    "exit_reason",
)
