"""`neozork backtest`: a strategy over a file of bars, with no server and no tenant."""

import json
import os
from datetime import date, datetime
from pathlib import Path
from typing import Any

import click

from core import clock
from core.cli.refusals import Offline
from core.errors import Fault, InvalidInputError
from core.trading.backtest.settings import Costs, Profile, Settings

_FILE = click.Path(path_type=Path)


@click.command(cls=Offline)
@click.option("--bars", "bars_file", required=True, type=_FILE, help="CSV or Parquet.")
@click.option("--strategy", "strategy_file", required=True, type=_FILE, help="YAML or JSON.")
@click.option("--timezone", help="Of times without an offset, e.g. America/New_York.")
@click.option("--stamp", type=click.Choice(["open", "close"]), default="open", show_default=True)
@click.option("--set", "sets", multiple=True, metavar="NAME=VALUE", help="A param; repeat.")
@click.option("--cash", default=10_000.0, show_default=True)
@click.option("--commission-bps", default=0.0, show_default=True)
@click.option("--slippage-bps", default=0.0, show_default=True)
@click.option("--lot", default=0.0, show_default=True, help="0: fractions; 1: whole units.")
@click.option("--from", "start", help="First date or moment that is traded.")
@click.option("--to", "end", help="Last one.")
@click.option(
    "--profile",
    type=click.Choice([profile.value for profile in Profile]),
    default=Profile.NATIVE.value,
    show_default=True,
)
@click.option("--json", "as_json", is_flag=True, help="The result document.")
def backtest(
    bars_file: Path,
    strategy_file: Path,
    timezone: str | None,
    stamp: str,
    sets: tuple[str, ...],
    as_json: bool,
    **money: Any,
) -> None:
    """Run a strategy over a file of bars and print the result."""
    from core.trading.backtest.report import summary_lines
    from core.trading.backtest.run import run_backtest
    from core.trading.bars.read import read_bars
    from core.trading.strategy.loading import parse_document
    from core.trading.strategy.reading import read_strategy

    _refuse_unreadable(bars=bars_file, strategy=strategy_file)
    settings = _settings(**money)
    strategy = read_strategy(parse_document(strategy_file.read_bytes()))
    bars, notes = read_bars(
        bars_file,
        symbol=strategy.symbols[0] if strategy.symbols else bars_file.stem,
        timeframe=strategy.timeframe,
        timezone=timezone,
        stamp=stamp,
        now=clock.now(),
    )
    result = run_backtest(
        strategy, bars, params=_params(sets), settings=settings, warnings=notes.warnings
    )
    if as_json:
        equity = json.dumps([list(point) for point in result.equity(bars)])
        head = result.document.decode().removesuffix("}")
        click.echo(f'{head},"equity":{equity}}}')
    else:
        click.echo("\n".join(summary_lines(strategy.name, result.content())))


def _refuse_unreadable(**files: Path) -> None:
    """Raise InvalidInputError where a file cannot be opened; click would not say so as JSON."""
    faults = [
        Fault(f"/{option}", "unreadable", f"{path} is no file that can be read.", "Check the path.")
        for option, path in files.items()
        if path.is_dir() or not os.access(path, os.R_OK)
    ]
    if faults:
        raise InvalidInputError("A file cannot be read.", errors=faults)


def _settings(
    *,
    cash: float,
    commission_bps: float,
    slippage_bps: float,
    lot: float,
    start: str | None,
    end: str | None,
    profile: str,
) -> Settings:
    return Settings(
        cash=cash,
        lot=lot,
        costs=Costs(commission_bps=commission_bps, slippage_bps=slippage_bps),
        profile=Profile(profile),
        start=_moment("from", start),
        end=_moment("to", end),
    )


def _params(sets: tuple[str, ...]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for text in sets:
        name, equals, value = text.partition("=")
        try:
            values[name.removeprefix("$")] = json.loads(value)
        except ValueError:
            equals = ""
        if not equals:
            fault = Fault("/params", "type", f"{text!r} sets no param.", "Write --set fast_n=10.")
            raise InvalidInputError("A param cannot be read.", errors=[fault])
    return values


def _moment(name: str, text: str | None) -> date | datetime | None:
    if text is None:
        return None
    try:
        return (date if len(text) == len("2000-01-01") else datetime).fromisoformat(text)
    except ValueError:
        hint = "Write 2020-01-31, or 2020-01-31T09:30:00Z."
        fault = Fault(f"/{name}", "bad_time", f"{text!r} is no ISO 8601 date.", hint)
        raise InvalidInputError("A date cannot be read.", errors=[fault]) from None
