"""The result document: canonical, hashed, with its series beside it as Arrow columns."""

import hashlib
import json
import platform
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import rfc8785

from core.errors import Fault
from core.trading.backtest.bar_range import bar_labels
from core.trading.backtest.canonical import dump_document, dump_lines
from core.trading.backtest.events import ExitReason, RejectReason
from core.trading.backtest.series import read_series, series_hash, write_series
from core.trading.backtest.settings import Settings
from core.trading.backtest.simulate import Simulation
from core.trading.bars.series import Bars

ENGINE = "neozork/1"
_EXIT_NAMES = [reason.name.lower() for reason in ExitReason]
_REJECT_NAMES = [reason.name.lower() for reason in RejectReason]

Columns = dict[str, list[Any]]


@dataclass(frozen=True, slots=True)
class Result:
    """A finished run.

    `result_id`: the SHA-256 of the inputs, in hex. `document`: canonical bytes (RFC 8785) to
    store, sign and serve as they are. `series`: an Arrow IPC file with columns `stamp` (int64
    microseconds) and `equity` (float64), whose SHA-256 stands in the document. `summary`: the
    document's numbers. `trades`: the document's closed trades as JSON lines.
    """

    result_id: str
    document: bytes
    series: bytes
    summary: Mapping[str, Any]
    trades: bytes

    def content(self) -> dict[str, Any]:
        """Answer the document, parsed."""
        content: dict[str, Any] = json.loads(self.document)
        return content

    def equity(self, bars: Bars) -> list[tuple[str, float]]:
        """Answer (time, equity) of every traded bar, times as the bars are shown."""
        columns = read_series(self.series)
        at = np.searchsorted(bars.stamps, columns["stamp"])
        return list(zip(bar_labels(bars, at.tolist()), columns["equity"].tolist(), strict=True))


@dataclass(frozen=True, slots=True)
class Identity:
    """What decides a result, and so its id; whoever has the same may take the stored result.

    `params`: resolved, by name. `platform_bound`: inputs whose bits depend on the CPU.
    """

    spec_hash: str
    params: Mapping[str, float]
    data_hash: str
    symbol: str
    timeframe: str
    settings: Settings
    platform_bound: Sequence[str] = ()

    def as_document(self) -> dict[str, Any]:
        """Answer the identity as members of the result document."""
        return {
            "spec_hash": self.spec_hash,
            "params": dict(self.params),
            "data_hash": self.data_hash,
            "symbol": self.symbol,
            "timeframe": self.timeframe,
            "engine": ENGINE,
            "platform": f"{sys.platform}-{platform.machine()}",
            "platform_bound": list(self.platform_bound),
            "settings": self.settings.as_document(),
        }

    def result_id(self) -> str:
        """Answer the SHA-256, in hex, of the identity's canonical form."""
        return hashlib.sha256(rfc8785.dumps(self.as_document())).hexdigest()


def build_result(
    identity: Identity,
    simulation: Simulation,
    bars: Bars,
    summary: Mapping[str, Any],
    warnings: Sequence[Fault],
) -> Result:
    """Answer the result of a finished simulation."""
    first, stop = simulation.first, simulation.next_bar
    series = write_series({"stamp": bars.stamps[first:stop], "equity": simulation.equity})
    result_id = identity.result_id()
    document = identity.as_document() | {
        "result_id": result_id,
        "range": {"first_bar": first, "last_bar": stop - 1}
        | dict(zip(("from", "to"), bar_labels(bars, [first, stop - 1]), strict=True)),
        "summary": dict(summary),
        "open_positions": open_positions(simulation, bars),
        "warnings": [warning.as_document() for warning in warnings],
        "series": {
            "format": "arrow-ipc-file",
            "columns": ["stamp", "equity"],
            "rows": stop - first,
            "sha256": series_hash(series),
        },
    }
    trades = dump_lines(trade_columns(simulation, bars))
    tables = {"trades": trades, "rejected": dump_lines(rejection_columns(simulation, bars))}
    return Result(result_id, dump_document(document, tables), series, dict(summary), trades)


def trade_columns(simulation: Simulation, bars: Bars) -> Columns:
    """Answer the closed trades by column, as they stand in the document."""
    trades = simulation.trades
    entries, exits = trades["entry_bar"].tolist(), trades["exit_bar"].tolist()
    return {
        "symbol": [bars.symbol] * len(trades),
        "side": [_side(side) for side in trades["side"].tolist()],
        "entry_bar": entries,
        "exit_bar": exits,
        "entry_time": bar_labels(bars, entries),
        "exit_time": bar_labels(bars, exits),
        "entry_price": trades["entry_price"].tolist(),
        "exit_price": trades["exit_price"].tolist(),
        "quantity": trades["quantity"].tolist(),
        "pnl": trades["pnl"].tolist(),
        "fees": trades["fees"].tolist(),
        "exit_reason": [_EXIT_NAMES[reason] for reason in trades["reason"].tolist()],
    }


def rejection_columns(simulation: Simulation, bars: Bars) -> Columns:
    """Answer the entry orders that could not be filled by column; `bar` is where it was refused."""
    refused = simulation.rejections
    at = refused["bar"].tolist()
    return {
        "symbol": [bars.symbol] * len(refused),
        "side": [_side(side) for side in refused["side"].tolist()],
        "signal_bar": refused["signal_bar"].tolist(),
        "bar": at,
        "time": bar_labels(bars, at),
        "reason": [_REJECT_NAMES[reason] for reason in refused["reason"].tolist()],
    }


def open_positions(simulation: Simulation, bars: Bars) -> list[dict[str, Any]]:
    """Answer the position still open, marked at the last close; `pnl` is net of `fees` so far."""
    state = {name: simulation.state[name][0].item() for name in simulation.state.dtype.names or ()}
    quantity = state["quantity"]
    if quantity == 0.0:
        return []
    price = float(bars.close[simulation.next_bar - 1])
    return [
        {
            "symbol": bars.symbol,
            "side": _side(1 if quantity > 0.0 else -1),
            "entry_bar": state["entry_bar"],
            "entry_time": bar_labels(bars, [state["entry_bar"]])[0],
            "entry_price": state["entry_price"],
            "quantity": abs(quantity),
            "price": price,
            "fees": state["fees"],
            "pnl": quantity * (price - state["entry_price"]) - state["fees"],
        }
    ]


def _side(sign: int) -> str:
    return "long" if sign > 0 else "short"
