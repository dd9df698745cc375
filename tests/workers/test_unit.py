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
