import subprocess
import sys

import pytest

from core.jobs.kinds import QUEUES


@pytest.mark.parametrize("arguments", [[], ["nowhere"]])
def test_a_unit_of_no_queue_says_which_there_are(arguments: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "workers.unit", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "|".join(QUEUES) in done.stderr


def test_a_unit_on_an_unfit_machine_ends_and_says_what_it_lacks(database: str) -> None:
    del database
    unfit = (
        "import sys; from core.trading.backtest import machine; from workers import unit;"
        "machine._V3 = frozenset(['from_the_future']); machine.platform.machine = lambda: 'x86_64';"
        "sys.exit(unit.main('bulk'))"
    )
    done = subprocess.run(
        [sys.executable, "-c", unfit], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 1
    assert "lacks from_the_future" in done.stderr
