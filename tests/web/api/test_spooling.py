import subprocess
import sys

from core.local.platform import ROOT
from web.api.spooling import Spool

_PROGRAM = """
import gevent.monkey
gevent.monkey.patch_all()
import gevent
from web.api.spooling import Spool
spool, turns = Spool(), []
gevent.spawn(lambda: turns.append(spool.size))
for _ in range(100):
    spool.write(b"x" * 1_000)
print(bool(turns), spool.size)
spool.close()
"""


def test_a_spool_is_a_file_until_it_is_closed() -> None:
    spool = Spool()
    assert spool.write(b"one") + spool.write(memoryview(b"two")) == 6
    assert (spool.path.read_bytes(), spool.size) == (b"onetwo", 6)
    assert spool.path.stat().st_mode & 0o077 == 0
    spool.close()
    spool.close()
    assert not spool.path.exists()


def test_a_fast_sender_does_not_hold_up_others() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert done.stdout == "True 100000\n"
