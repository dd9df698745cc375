"""Processes killed, told to end, stopped, out of memory, replaced, and with wrong clocks."""

import signal

from tests.faults.rows.scene import Row, Scene
from tests.faults.stage import children_of, send, state_of
from tests.faults.startup.fail_points import POINTS
from tests.faults.startup.fault_kinds import DEAF, GREEDY
from tests.faults.world import listens

KILL, TERM, STOP, CONT = signal.SIGKILL, signal.SIGTERM, signal.SIGSTOP, signal.SIGCONT
HOUR_S = 3_600


def _pid(scene: Scene, what: str) -> int:
    """Answer the process of a program, or of one of its children: `web.child`."""
    name, _, child = what.partition(".")
    pid = scene.world.pid(name)
    if child:
        scene.world.until(lambda: children_of(pid), f"{name} to have a child")
        return scene.chance.choice(children_of(pid))
    return pid


def _ends(what: str, number: signal.Signals) -> Row:
    def run(scene: Scene) -> str:
        scene.wait()
        pid = _pid(scene, what)
        send(pid, number)
        scene.rescues = what.startswith("worker")
        scene.world.until(lambda: state_of(pid) in {"", "Z"}, f"{what} to end")
        return f"pid {pid} by {number.name}"

    return run


def _killed_at(point: str) -> Row:
    def run(scene: Scene) -> str:
        scene.wait()
        scene.world.arm(point, "kill")
        scene.world.until(scene.world.reached, f"{point} to be reached")
        scene.rescues = point.startswith(("claim", "finish"))
        return f"pid {scene.world.reached()}"

    return run


def _stopped_at(scene: Scene) -> str:
    point = scene.chance.choice([p for p in POINTS if not p.startswith("submit")])
    scene.world.arm(point, "stop")
    scene.world.until(scene.world.reached, f"{point} to be reached")
    pid = scene.world.reached()
    scene.wait(1.05 * scene.lease_s(), 1.5 * scene.lease_s())
    send(pid, CONT)
    return f"pid {pid} at {point}"


def _stopped(what: str) -> Row:
    def run(scene: Scene) -> str:
        pid = _pid(scene, what)
        send(pid, STOP)
        scene.wait(1.05 * scene.lease_s(), 1.5 * scene.lease_s())
        send(pid, CONT)
        return f"pid {pid}"

    return run


def _kernel_kills(scene: Scene) -> str:
    (job,) = scene.load.promised(DEAF, seconds=1.5)
    begun = "SELECT pid FROM faults.starts WHERE job = %s"
    scene.world.until(lambda: scene.world.rows(begun, job), "the job to start")
    ((pid,),) = scene.world.rows(begun, job)
    send(int(pid), KILL)
    scene.rescues = True
    return f"pid {pid}"


def _greedy(scene: Scene) -> str:
    (job,) = scene.load.promised(GREEDY, end="failed")
    return f"job {job}"


def _moved_clock(ahead_s: int) -> Row:
    def run(scene: Scene) -> str:
        name = scene.chance.choice(("web", "worker", "dispatcher", "scheduler"))
        program = scene.world.program(name)
        right = program.environment
        for environment in (dict(right) | {"CLOCK_AHEAD_S": str(ahead_s)}, right):
            program.environment = environment
            before = scene.world.pid(name)
            send(before, TERM)
            scene.world.until(
                lambda before=before: scene.world.pid(name) != before, f"{name} to start anew"
            )
            scene.wait(2.0, 3.0)
        return name

    return run


def _deploy(scene: Scene) -> str:
    world = scene.world
    world.release = str(int(world.release) + 1)
    old = list(world.supervisor.programs)
    for program in old:
        new = world.start(program.name)
        if program.name == "web":
            world.until(lambda new=new: listens(new), "the new web to listen")
            world.show(new)
        scene.wait(0.5, 1.5)
        world.retire(program)
    return f"release {world.release}"


_PROGRAMS = ("web", "web.child", "worker", "worker.child", "dispatcher", "scheduler")
ROWS: dict[str, Row] = {
    **{f"kill: {what}": _ends(what, KILL) for what in _PROGRAMS},
    **{f"term: {what}": _ends(what, TERM) for what in _PROGRAMS},
    # Only gunicorn's own child answers for it.
    **{f"stop: {what} beyond the lease": _stopped(what) for what in _PROGRAMS if what != "web"},
    **{f"kill at: {point}": _killed_at(point) for point in POINTS},
    "clock: an hour ahead": _moved_clock(HOUR_S),
    "clock: an hour behind": _moved_clock(-HOUR_S),
    "stop at: a fail point, beyond the lease": _stopped_at,
    "out of memory: the kernel kills a unit at work": _kernel_kills,
    "out of memory: a job wants more than its kind may take": _greedy,
    "release: in the midst of jobs": _deploy,
}
