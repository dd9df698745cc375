import subprocess
import sys

PROGRAM = """
import resource, sys
import numpy as np
from core.trading.backtest.memory import keep_freed_memory

def faults_of_a_run():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    arrays = [np.ones(1_000_000) for _ in range(5)]
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

if sys.argv[1] == "kept":
    assert keep_freed_memory()
faults_of_a_run()
faults_of_a_run()
print(faults_of_a_run())
"""


def page_faults(how: str) -> int:
    command = [sys.executable, "-c", PROGRAM, how]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def test_a_run_takes_the_memory_that_the_last_one_freed() -> None:
    assert page_faults("kept") * 5 < page_faults("given back")
