"""`neozork`: every command line of the platform; `manage.py` is the same."""

import os
import sys
from pathlib import Path
from typing import NoReturn

import click

from core.cli import tenants
from core.cli.backtest import backtest
from core.cli.demo import demo
from core.cli.jobs import jobs
from core.cli.refusals import Commands
from core.cli.verify import verify
from core.settings import get_settings


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="neozork")
def main() -> None:
    """Research, backtest and trade strategies one can trust."""


def _become(module: str, *arguments: str) -> NoReturn:
    """Become another process of the platform, once the settings that it reads are sound."""
    get_settings()
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", module, *arguments])


def _serve(module: str, *arguments: str) -> NoReturn:
    """Become what runs until it is stopped; not without the services that it stands on."""
    settings = get_settings()
    settings.required("app_database_url" if settings.app_database_url else "database_url")
    settings.required("redis_url")
    _become(module, *arguments)


_PASSED_ON = {"ignore_unknown_options": True}


@main.command(context_settings=_PASSED_ON, add_help_option=False)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def migrate(arguments: tuple[str, ...]) -> None:
    """Bring the database up to date: [--status [--json]] [--retry-quarantined [SLUG…]]."""
    _become("migrations.run", *arguments)


@main.command(context_settings=_PASSED_ON, add_help_option=False)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def work(arguments: tuple[str, ...]) -> None:
    """Do jobs: [--queues interactive,bulk:2,…] [--units N]."""
    _serve("workers.main", *arguments)


@main.command()
def dispatch() -> None:
    """Hand out jobs to the workers."""
    _serve("workers.dispatcher")


@main.command()
def schedule() -> None:
    """Tick: queue what time makes due."""
    _serve("scheduler.main")


@main.command()
@click.option(
    "--port",
    type=click.IntRange(0, 65_535),
    default=8000,
    show_default=True,
    help="Where the API answers; 0: any.",
)
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of the embedded servers; kept between runs.",
)
def up(port: int, data: Path | None) -> None:
    """Run the whole platform on this machine until Ctrl-C."""
    from core.local.platform import run_platform

    sys.exit(run_platform(port=port, data=data))


main.add_command(tenants.tenant)
main.add_command(tenants.createsuperuser)
main.add_command(tenants.audit)
main.add_command(backtest)
main.add_command(demo)
main.add_command(jobs)
main.add_command(verify)
