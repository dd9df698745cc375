import pytest

from tests.programs import program, until
from workers.main import main


@pytest.mark.parametrize(
    "arguments",
    [
        *(["--queues", "interactive,nowhere"], ["--units", "0"], ["--units", "many"]),
        *(["--queues", "money:0"], ["--queues", "money:"], ["--queues", "money:-1,bulk"]),
    ],
)
def test_a_mistyped_command_line_starts_nothing(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as refused:
        main(arguments)
    assert refused.value.code == 2
    assert "--units" in capsys.readouterr().err


@pytest.mark.usefixtures("quiet_jobs")
def test_a_queue_may_have_units_of_its_own_number(as_superuser: object) -> None:
    def registered() -> list[tuple[object, ...]]:
        units = "SELECT queue, units FROM neozork.job_units ORDER BY queue"
        return as_superuser.execute(units).fetchall()

    with program("workers.main", "--queues", "money,housekeeping:2", says="unit_ready"):
        until(lambda: registered() == [("housekeeping", 2), ("money", 1)], "the units")


@pytest.mark.usefixtures("quiet_jobs")
def test_a_supervisor_registers_its_units_and_takes_them_with_it(as_superuser: object) -> None:
    def registered() -> list[tuple[object, ...]]:
        return as_superuser.execute("SELECT queue, units FROM neozork.job_units").fetchall()

    command = ["workers.main", "--queues", "money", "--units", "2"]
    with program(*command, says="unit_ready") as supervisor:
        until(lambda: registered() == [("money", 2)], "the units to be registered")
        supervisor.terminate()
        assert supervisor.wait() == 0
    assert registered() == []
