import subprocess
import sys

PROGRAM = """
import numpy as np
import pyarrow as pa
from core.jobs.memory import limited
with limited(128):
    kept = np.ones(8 << 20)
    for grab in (
        lambda: bytearray(256 << 20),
        lambda: np.ones(32 << 20),
        lambda: pa.allocate_buffer(256 << 20),
        lambda: kept.repeat(4),
    ):
        try:
            grab()
        except MemoryError:
            print("refused")
print(len(bytearray(256 << 20)) >> 20)
with limited(512):
    print(len(bytearray(256 << 20)) >> 20)
"""


def test_what_is_over_the_limit_is_refused_and_the_process_lives_on() -> None:
    """In a process of its own, whose memory nothing else moves."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["refused"] * 4 + ["256", "256"]
