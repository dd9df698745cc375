import subprocess
import sys
from pathlib import Path

from core.local.platform import ROOT
from web.api.blocking import off_loop, together

# Under gevent, in a process of its own: what blocks waits for what only another greenlet sends.
_PROGRAM = """
import gevent.monkey
gevent.monkey.patch_all()
import gevent, os
from web.api.blocking import off_loop, together
receive, send = os.pipe()
gevent.spawn_later(0.05, os.write, send, b"x")
print({call}(os.read, receive, 1))
"""


def run(call: str, *, within_s: float) -> str:
    return subprocess.run(
        [sys.executable, "-c", _PROGRAM.replace("{call}", call)],
        capture_output=True,
        text=True,
        timeout=within_s,
        cwd=ROOT,
        check=True,
    ).stdout


def test_under_gevent_others_go_on_while_something_blocks() -> None:
    assert run("off_loop", within_s=60) == "b'x'\n"


def test_on_the_loop_the_same_call_would_stop_everybody() -> None:
    try:
        run("(lambda call, *args: call(*args))", within_s=5)
    except subprocess.TimeoutExpired:
        return
    raise AssertionError("the control shows nothing: the call did not block")


def test_without_gevent_a_call_is_a_call() -> None:
    assert off_loop(Path, "x") == Path("x")


def test_under_gevent_what_is_raised_reaches_the_caller_and_is_not_printed() -> None:
    program = (
        "import gevent.monkey\ngevent.monkey.patch_all()\n"
        "from web.api.blocking import off_loop\n"
        "try:\n    off_loop(int, 'x')\nexcept ValueError:\n    print('raised')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert (done.stdout, done.stderr) == ("raised\n", "")


_TOGETHER = """
import gevent.monkey
gevent.monkey.patch_all()
import gevent.event
from contextvars import ContextVar
from web.api.blocking import together
whose, said = ContextVar("whose"), gevent.event.Event()
whose.set("ours")
print(together([lambda: said.wait(2), said.set, whose.get]))
"""


def test_under_gevent_calls_that_wait_are_made_together_and_keep_their_context() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _TOGETHER],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=True,
    )
    assert done.stdout == "[True, None, 'ours']\n"


def test_without_gevent_they_are_made_in_turn() -> None:
    made: list[int] = []
    assert together([lambda: made.append(1) or 1, lambda: made.append(2) or 2]) == [1, 2]
    assert made == [1, 2]
