"""`neozork demo`: the whole platform on this machine, used through its REST API alone."""

import json
import secrets
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from core.errors import NeozorkError
from core.wording import counted

if TYPE_CHECKING:
    import httpx

_EXAMPLES = Path(__file__).resolve().parents[2] / "docs" / "examples"
_FINISHED = ("succeeded", "failed", "cancelled", "superseded")
_BAR_WIDTH = 24
_SPARKLINE_POINTS = 72
# Longer than the stream's heartbeat, so that only a dead server ends the wait.
_PATIENCE_S = 30.0

_RUNS: tuple[dict[str, Any], ...] = (
    {
        "strategy": "aapl-sma-cross.yaml",
        "data": {"symbol": "AAPL", "timeframe": "1d", "lot": 1},
        "costs": {"commission_bps": 5, "slippage_bps": 5},
    },
    {
        "strategy": "eurusd-ema-cross.yaml",
        "data": {"symbol": "EURUSD", "timeframe": "1h", "timezone": "UTC"},
        "costs": {"commission_bps": 0.5, "slippage_bps": 0.5},
    },
)


class DemoFailedError(NeozorkError):
    """Raised when the platform answers the demo otherwise than it should."""

    code = "demo_failed"
    title = "The demo did not work"


@click.command()
def demo() -> None:
    """Show the platform: a firm signs up, uploads bars, and backtests two strategies."""
    from core.local.account import Account
    from core.local.platform import default_data, open_platform

    own = default_data(Account.current())
    folder = own.with_name(own.name.replace("platform", "demo"))
    click.echo("→ starting Postgres, Valkey, web, dispatcher, workers, scheduler")
    with open_platform(folder, port=0, honour_environment=False, fresh=True) as platform:
        platform.wait_until_ready()
        _tour(platform.url)
    shutil.rmtree(folder, ignore_errors=True)
    click.echo("Everything that was started is stopped again. Where to go next:")
    click.echo("  make up                      keep it running; API docs at /api/v1/docs")
    click.echo("  README.md                    a first session with curl")
    click.echo("  docs/examples                the two strategies that ran")
    click.echo("  .venv/bin/neozork backtest --help    backtest a file, without a server")


def _tour(url: str) -> None:
    import httpx

    from core.local import samples

    csv = {"AAPL": samples.aapl_daily_csv, "EURUSD": samples.eurusd_hourly_csv}
    with httpx.Client(base_url=f"{url}/api/v1", timeout=_PATIENCE_S) as client:
        _sign_up(client)
        with client.stream("GET", "/events") as stream:
            events = _job_events(stream)
            for run in _RUNS:
                name = run["data"]["symbol"]
                data_id = _upload(client, events, run["data"], csv[name]())
                _backtest(client, events, run, data_id)


def _sign_up(client: "httpx.Client") -> None:
    password, mail = secrets.token_urlsafe(16), "ada@example.com"
    firm = {
        "name": "Demo Trading",
        "subdomain": "demo",
        "admin_email": mail,
        "admin_username": "ada",
        "admin_password": password,
    }
    _answer(client.post("/tenants", json=firm))
    signed_in = _answer(
        client.post("/tenants/demo/auth/login", json={"email": mail, "password": password})
    )
    client.headers["Authorization"] = f"Bearer {signed_in['access_token']}"
    click.echo(f"→ {firm['name']} signed up at {client.base_url}; {mail} signed in")


def _upload(
    client: "httpx.Client", events: Iterator[dict[str, Any]], form: dict[str, Any], csv: bytes
) -> str:
    file = (f"{form['symbol']}.csv", csv, "text/csv")
    click.echo(f"→ uploading {form['symbol']} {form['timeframe']}, {len(csv):,} bytes")
    asked = _answer(client.post("/trading/data/", data=form, files={"file": file}))
    _follow(events, asked["job_id"])
    bars = _answer(client.get(f"/trading/data/{asked['id']}"))
    click.echo(f"  {counted(bars['rows'], 'bar')}, {bars['first']} to {bars['last']}")
    for message in bars["certificate"]["messages"] or ["clean"]:
        click.echo(f"  certificate: {message}")
    return str(asked["id"])


def _backtest(
    client: "httpx.Client", events: Iterator[dict[str, Any]], run: dict[str, Any], data_id: str
) -> None:
    from core.trading.backtest.report import sparkline, summary_lines

    document = (_EXAMPLES / run["strategy"]).read_text(encoding="utf-8")
    name = Path(run["strategy"]).stem
    strategy = _answer(
        client.post("/trading/strategies/", json={"name": name, "document": document})
    )
    click.echo(f"→ strategy {name}, version {strategy['version']}; its backtest")
    body = {"strategy_id": strategy["id"], "data_id": data_id, "costs": run["costs"]}
    asked = _answer(client.post("/trading/backtesting/", json=body))
    _follow(events, asked["job_id"])
    path = f"/trading/backtesting/{asked['id']}"
    result = _answer(client.get(path))["result"]
    drawn = _answer(
        client.get(f"{path}/series", params={"names": "equity", "points": _SPARKLINE_POINTS})
    )
    click.echo("\n" + "\n".join(summary_lines(name, result)))
    click.echo(f"\nequity  {sparkline(drawn['equity'])}")
    click.echo(f"result  {result['result_id']}\n")


def _job_events(stream: "httpx.Response") -> Iterator[dict[str, Any]]:
    """Yield what the event stream tells of jobs."""
    if not stream.is_success:
        raise DemoFailedError(f"The event stream answers {stream.status_code}.")
    name = ""
    for line in stream.iter_lines():
        field, _, value = line.partition(": ")
        if field == "event":
            name = value
        elif field == "data" and name == "job":
            yield json.loads(value)
    raise DemoFailedError("The event stream ended before its job did.")


def _follow(events: Iterator[dict[str, Any]], job_id: str) -> None:
    """Show a job's progress until it ends; raise DemoFailedError where it does not succeed."""
    terminal = sys.stdout.isatty()
    for job in events:
        if job["id"] != job_id:
            continue
        done = round(job.get("progress", 0.0) * _BAR_WIDTH)
        bar = "█" * done + "·" * (_BAR_WIDTH - done)
        line = f"  [{bar}] {job['status']:<10} {job.get('message') or ''}"
        click.echo(f"\r\033[K{line}" if terminal else line, nl=not terminal)
        if job["status"] in _FINISHED:
            if terminal:
                click.echo()
            if job["status"] != "succeeded":
                raise DemoFailedError(f"Job {job_id} {job['status']}.")
            return


def _answer(response: "httpx.Response") -> Any:
    document = response.json()
    if not response.is_success:
        raise DemoFailedError(f"{response.request.url.path}: {document.get('detail', document)}")
    return document
