"""What workers do for trading: read uploads into bars, run strategies over bars."""

import json
import tempfile
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
from sqlalchemy import update

from core.clock import now
from core.errors import NotFoundError
from core.jobs.running import RunningJob
from core.settings import get_settings
from core.storage.installed import installed_store
from core.tenancy.session import open_session
from core.trading.backtest.bar_range import bar_labels
from core.trading.backtest.drawing import PREVIEW_POINTS, places_to_draw, running_drawdown
from core.trading.backtest.result import Result
from core.trading.backtest.run import run_backtest as run_strategy
from core.trading.backtest.series import read_series
from core.trading.backtest.settings import Settings
from core.trading.backtest.signing import sign_document, signing_key
from core.trading.bars.cache import load_cached
from core.trading.bars.canonical import (
    StoredBarsError,
    data_hash,
    read_parquet_bars,
    write_parquet,
)
from core.trading.bars.certificate import certify
from core.trading.bars.instants import to_moment
from core.trading.bars.read import read_bars
from core.trading.bars.series import Bars
from core.trading.bars.timeframes import Timeframe
from core.trading.models import Backtest, BarSet, StrategyVersion, Sweep
from core.trading.requests.backtests import BacktestRequest, refuse_deleted, settings_of
from core.trading.requests.results import ResultPart, result_key
from core.trading.strategy.reading import read_strategy
from core.wording import counted


def import_bars(job: RunningJob) -> None:
    """Read an uploaded file, certify it, and keep its bars as Parquet under their content."""
    bar_set_id = UUID(job.args["bar_set_id"])
    with open_session(job.tenant_id) as session:
        asked = session.get_one(BarSet, bar_set_id)
    store = installed_store()
    job.progress(0.05, "fetching the file")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "upload"
        with path.open("wb") as file:
            file.writelines(store.stream(asked.upload_key))
        job.progress(0.2, "reading")
        bars, notes = read_bars(
            path,
            symbol=asked.symbol,
            timeframe=Timeframe.labelled(asked.timeframe),
            timezone=asked.timezone,
            stamp=asked.stamp,
            file_name=asked.file_name,
            now=now(),
        )
    job.progress(0.6, f"certifying {counted(len(bars), 'bar')}")
    certificate = certify(bars, notes)
    job.progress(0.8, "storing")
    key = store.put_content(job.tenant_id, "bars", write_parquet(bars))
    with job.finishing() as session:
        session.execute(
            update(BarSet)
            .where(BarSet.id == bar_set_id)
            .values(
                data_key=key,
                data_hash=data_hash(bars),
                rows=len(bars),
                first_at=to_moment(int(bars.stamps[0])),
                last_at=to_moment(int(bars.stamps[-1])),
                certificate=certificate,
            )
        )


def run_backtest(job: RunningJob) -> None:
    """Run a strategy's version over bars, and keep the signed result with its series."""
    backtest_id = UUID(job.args["backtest_id"])
    with open_session(job.tenant_id) as session:
        backtest = session.get_one(Backtest, backtest_id)
        refuse_deleted(session, backtest.strategy_id, asked="backtest")
        version = session.get_one(StrategyVersion, backtest.version_id)
        bar_set = session.get_one(BarSet, backtest.bar_set_id)
    job.progress(0.1, "loading bars")
    bars = load_bars(job.tenant_id, bar_set)
    job.progress(0.3, f"running over {counted(len(bars), 'bar')}")
    result = _run(backtest, version, bars, content_hash=bar_set.data_hash)
    job.progress(0.8, "storing the result")
    store = installed_store()
    for part, data in parts_of(result, bars, cash=backtest.settings["cash"]).items():
        store.put(result_key(job.tenant_id, result.result_id, part), data)
    secret = get_settings().required("result_signing_key")
    with job.finishing() as session:
        session.execute(
            update(Backtest)
            .where(Backtest.id == backtest_id)
            .values(
                result_id=result.result_id,
                document=result.document.decode(),
                signature=sign_document(result.document, signing_key(secret)),
            )
        )


def _run(
    backtest: Backtest, version: StrategyVersion, bars: Bars, *, content_hash: str | None
) -> Result:
    return run_strategy(
        read_strategy(version.document),
        bars,
        params=backtest.settings["params"],
        settings=settings_kept(backtest),
        content_hash=content_hash,
    )


def settings_kept(asked: Backtest | Sweep) -> Settings:
    """Answer the settings of a run as they were kept when it was asked for."""
    kept: dict[str, Any] = asked.settings
    request = BacktestRequest(
        strategy_id=asked.strategy_id,
        data_id=asked.bar_set_id,
        start=kept["from"],
        end=kept["to"],
        cash=kept["cash"],
        costs=kept["costs"],
        lot=kept["lot"],
        profile=kept["profile"],
    )
    return settings_of(request, lot=kept["lot"])


def parts_of(result: Result, bars: Bars, *, cash: float) -> dict[ResultPart, bytes]:
    """Answer what is kept beside the document, ready to serve without being parsed whole."""
    columns = read_series(result.series)
    equity = np.asarray(columns["equity"], dtype=np.float64)
    drawn = {"equity": equity, "drawdown": running_drawdown(equity, cash)}
    places = places_to_draw(drawn.values(), PREVIEW_POINTS)
    at = np.searchsorted(bars.stamps, columns["stamp"][places])
    preview = {"time": bar_labels(bars, at.tolist())}
    preview |= {name: values[places].tolist() for name, values in drawn.items()}
    return {
        "series.arrow": result.series,
        "preview.json": json.dumps(preview).encode(),
        "trades.jsonl": result.trades,
    }


def load_bars(tenant_id: UUID, bar_set: BarSet) -> Bars:
    """Answer a bar set's bars from this worker's cache, which one tenant shares with nobody.

    Raises StoredBarsError where they were never read, or are gone.
    """
    key, content = bar_set.data_key, bar_set.data_hash
    if key is None or content is None:
        raise StoredBarsError("The data was never read. Upload it again.", code="data_not_ready")

    def load() -> Bars:
        try:
            stored = installed_store().get(key)
        except NotFoundError:
            raise StoredBarsError(
                "The stored bars are gone. Upload them again.", code="data_lost"
            ) from None
        return read_parquet_bars(stored, symbol=bar_set.symbol, expected_hash=content)

    folder = get_settings().worker_cache_dir.expanduser() / "bars" / tenant_id.hex
    return load_cached(folder, content, symbol=bar_set.symbol, load=load)
