import signal

import pytest

from core.errors import UnavailableError
from scheduler.main import run_tick
from scheduler.ticks import Tick
from tests.programs import program


@pytest.mark.usefixtures("database")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_scheduler_told_to_stop_ends_with_0(number: signal.Signals) -> None:
    with program("scheduler.main", says="scheduler_ready") as process:
        process.send_signal(number)
        assert process.wait() == 0


def test_a_tick_that_finds_the_database_away_leaves_it_to_the_next() -> None:
    def away() -> int:
        raise UnavailableError("The database does not answer.")

    run_tick(Tick("away", away, 60))


def test_a_fault_of_ours_in_a_tick_is_not_hidden() -> None:
    def broken() -> int:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run_tick(Tick("broken", broken, 60))
