"""The data certificate: what is known about a set of bars, good and bad."""

from typing import Any

import numpy as np

from core.trading.bars.gaps import Gaps, find_gaps
from core.trading.bars.header import NUMBERS, PRICES
from core.trading.bars.labels import bar_label
from core.trading.bars.prices import ROUNDING
from core.trading.bars.read import ReadNotes
from core.trading.bars.series import Bars
from core.trading.bars.splits import Jump, find_jumps
from core.trading.bars.zones import load_zone
from core.wording import counted

LISTED = 20


def certify(bars: Bars, notes: ReadNotes | None = None) -> dict[str, Any]:
    """Answer the certificate of at least one bar, as JSON; the same bars give the same one.

    `notes`: what reading the file found, None for bars that came from elsewhere. Times are bar
    labels: dates, or closes in UTC. Lists hold the 20 largest or first, counts count all. Gaps
    are judged by the data's own rhythm (`core.trading.bars.gaps`), suspected splits by price
    and volume (`core.trading.bars.splits`). `verdict` is `clean` or `warnings`; `messages` says
    why, in words; nothing in the bars was changed.
    """
    gaps, jumps = find_gaps(bars), find_jumps(bars)
    splits = [jump for jump in jumps if jump.ratio is not None]
    moves = [jump for jump in jumps if jump.ratio is None]
    document: dict[str, Any] = {
        "rows": len(bars),
        "timeframe": bars.timeframe.label,
        "first": bar_label(bars, 0),
        "last": bar_label(bars, len(bars) - 1),
        "timezone": notes.timezone if notes else None,
        "stamp": notes.stamp if notes else "close",
        "time_form": notes.time_form if notes else None,
        "clock_switches": _clock_switches(bars, notes),
        **_order(bars),
        **_numbers(bars),
        "gaps": _gaps(bars, gaps),
        "suspected_splits": {"count": len(splits), "list": _jumps(bars, splits)},
        "large_moves": {"count": len(moves), "list": _jumps(bars, moves)},
    }
    messages = _messages(document) + [fault.message for fault in (notes.warnings if notes else ())]
    return document | {"verdict": "warnings" if messages else "clean", "messages": messages}


def _clock_switches(bars: Bars, notes: ReadNotes | None) -> int:
    """Count how often the clocks of the file's timezone changed during the data."""
    if notes is None or notes.timezone is None or bars.label_offset:
        return 0
    first, last = int(bars.stamps[0]), int(bars.stamps[-1])
    zone = load_zone(notes.timezone, first, last)
    if zone is None:
        return 0
    return int(np.count_nonzero((zone.switches >= first) & (zone.switches <= last)))


def _order(bars: Bars) -> dict[str, Any]:
    steps = np.diff(bars.stamps)
    return {
        "order": "increasing" if bool((steps > 0).all()) else "broken",
        "duplicates": int(np.count_nonzero(steps == 0)),
    }


def _numbers(bars: Bars) -> dict[str, Any]:
    columns = {name: getattr(bars, name) for name in NUMBERS}
    top = np.maximum(bars.open, bars.close)
    bottom = np.minimum(bars.open, bars.close)
    rough = (top > bars.high) | (bottom < bars.low) | (bars.high < bars.low)
    gross = (top > bars.high * (1 + ROUNDING)) | (bottom < bars.low * (1 - ROUNDING))
    gross |= bars.high < bars.low
    return {
        "not_finite": int(sum(np.count_nonzero(~np.isfinite(c)) for c in columns.values())),
        "not_positive": int(sum(np.count_nonzero(columns[name] <= 0) for name in PRICES)),
        "ohlc_violations": int(np.count_nonzero(gross)),
        "ohlc_rounding": int(np.count_nonzero(rough & ~gross)),
        "zero_volume": int(np.count_nonzero(bars.volume == 0)),
    }


def _gaps(bars: Bars, gaps: Gaps) -> dict[str, Any]:
    largest = sorted(gaps.gaps, key=lambda gap: (-gap.missing, gap.after))[:LISTED]
    return {
        "rhythm_learnt": gaps.learnt,
        "count": len(gaps.gaps),
        "missing_bars": sum(gap.missing for gap in gaps.gaps),
        "holidays": gaps.holidays,
        "largest": [
            {
                "from": bar_label(bars, gap.after),
                "to": bar_label(bars, gap.after + 1),
                "missing": gap.missing,
            }
            for gap in largest
        ],
    }


def _jumps(bars: Bars, jumps: list[Jump]) -> list[dict[str, Any]]:
    return [
        {
            "at": bar_label(bars, jump.at),
            "ratio": jump.ratio,
            "price_factor": round(jump.factor, 6),
            "volume_factor": None if jump.volume_factor is None else round(jump.volume_factor, 3),
        }
        for jump in jumps[:LISTED]
    ]


def _messages(document: dict[str, Any]) -> list[str]:
    gaps, splits = document["gaps"], document["suspected_splits"]
    rows, empty = document["rows"], document["zero_volume"]
    said = (
        (document["order"] != "increasing", "The bars are not in increasing order."),
        (document["not_finite"], f"Not finite: {counted(document['not_finite'], 'number')}."),
        (
            document["not_positive"],
            f"Not above zero: {counted(document['not_positive'], 'price')}.",
        ),
        (
            document["ohlc_violations"],
            f"Opened or closed outside its range: {counted(document['ohlc_violations'], 'bar')}.",
        ),
        (
            gaps["count"],
            f"Gaps: {gaps['count']:,}, in all {counted(gaps['missing_bars'], 'bar')} missing.",
        ),
        (
            splits["count"],
            f"Suspected splits that prices were not adjusted for: {splits['count']:,}.",
        ),
        (0 < empty < rows, f"No volume: {empty:,} of {rows:,} bars."),
    )
    return [message for wrong, message in said if wrong]
