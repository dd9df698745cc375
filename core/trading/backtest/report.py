"""A result as people read it at a terminal."""

from collections.abc import Mapping, Sequence
from typing import Any

_TICKS = "▁▂▃▄▅▆▇█"
_FIRST_TRADES = 5


def summary_lines(name: str, document: Mapping[str, Any]) -> list[str]:
    """Answer a result document as lines of text: the numbers, then the first trades."""
    summary, span = document["summary"], document["range"]
    lines = [
        f"{name}: {document['symbol']} {document['timeframe']}, {span['from']} to {span['to']}",
        "",
        _row("final equity", _money(summary["final_equity"])),
        _row("return", _percent(summary["total_return"]), _against(summary)),
        _row("CAGR", _percent(summary["cagr"])),
        _row("Sharpe", _number(summary["sharpe"]), f"verdict: {summary['verdict']}"),
        _row("Sortino", _number(summary["sortino"])),
        _row("max drawdown", _percent(summary["max_drawdown"])),
        _row("exposure", _percent(summary["exposure"])),
        _row("trades", str(summary["trades"])),
        _row("profit factor", _number(summary["profit_factor"])),
        _row("fees", _money(summary["fees"])),
        "",
    ]
    lines += trade_lines(document["trades"])
    lines += [f"! {_warning(warning)}" for warning in document["warnings"]]
    return lines


def trade_lines(trades: Sequence[Mapping[str, Any]]) -> list[str]:
    """Answer the first trades as a table; one line where there is none."""
    if not trades:
        return ["no trades"]
    head = f"{'side':<6}{'entry':<21}{'exit':<21}{'in at':>12}{'out at':>12}{'pnl':>12}  closed by"
    rows = [
        f"{trade['side']:<6}{trade['entry_time']:<21}{trade['exit_time']:<21}"
        f"{trade['entry_price']:>12.5g}{trade['exit_price']:>12.5g}{trade['pnl']:>12.2f}"
        f"  {trade['exit_reason']}"
        for trade in trades[:_FIRST_TRADES]
    ]
    more = len(trades) - len(rows)
    return [head, *rows, *([f"… and {more} more"] if more > 0 else [])]


def sparkline(values: Sequence[float]) -> str:
    """Answer a series as one line of eight heights, lowest to highest."""
    low, high = min(values), max(values)
    span = (high - low) or 1.0
    return "".join(_TICKS[round((value - low) / span * (len(_TICKS) - 1))] for value in values)


def _warning(warning: Mapping[str, Any]) -> str:
    return ": ".join(part for part in (warning["path"], warning["message"]) if part)


def _row(label: str, value: str, note: str = "") -> str:
    return f"  {label:<15}{value:>14}" + (f"   {note}" if note else "")


def _against(summary: Mapping[str, Any]) -> str:
    return f"buy and hold: {_percent(summary['buy_and_hold_return'])}"


def _money(value: float) -> str:
    return f"{value:,.2f}"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.2%}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
