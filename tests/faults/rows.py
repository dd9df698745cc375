"""The rows of the matrix: each harms one thing at a time and place that chance chooses."""

import signal
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from random import Random

from core.jobs.broker import _APPEND, count_messages
from core.local.postgres import find_binaries
from core.valkey import get_valkey
from tests.faults.laws import slowest_start_s
from tests.faults.load import Load
from tests.faults.stage import children_of, state_of
from tests.faults.startup.fail_points import POINTS
from tests.faults.startup.fault_kinds import DEAF, EFFECT, GREEDY, QUEUE
from tests.faults.world import GROUPS, SERVERS, World, listens, send

KILL, TERM, STOP, CONT = signal.SIGKILL, signal.SIGTERM, signal.SIGSTOP, signal.SIGCONT
HOUR_S = 3_600
_PAGE = 4_096
_MESSAGES = "jobs:messages:"


@dataclass(slots=True)
class Scene:
    """Where a row plays: the world, its customers, chance, and what was measured."""

    world: World
    load: Load
    chance: Random
    flush_s: float | None = None
    rescues: bool = False

    def wait(self, least: float = 0.0, most: float = 1.0) -> None:
        self.world.rest(self.chance.uniform(least, most))

    def lease_s(self) -> float:
        return 10.0 if self.world.times == "real" else 1.5


Row = Callable[[Scene], str]
ROWS: dict[str, Row] = {}


def row(name: str) -> Callable[[Row], Row]:
    def keep(function: Row) -> Row:
        ROWS[name] = function
        return function

    return keep


# --- processes killed, told to end, stopped -----------------------------------------------


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


for _what in ("web", "web.child", "worker", "worker.child", "dispatcher", "scheduler"):
    ROWS[f"kill: {_what}"] = _ends(_what, KILL)
    ROWS[f"term: {_what}"] = _ends(_what, TERM)


def _killed_at(point: str) -> Row:
    def run(scene: Scene) -> str:
        scene.wait()
        scene.world.arm(point, "kill")
        scene.world.until(scene.world.reached, f"{point} to be reached")
        scene.rescues = point.startswith(("claim", "finish"))
        return f"pid {scene.world.reached()}"

    return run


for _point in POINTS:
    ROWS[f"kill at: {_point}"] = _killed_at(_point)


@row("stop at: a fail point, beyond the lease")
def _stopped_at(scene: Scene) -> str:
    point = scene.chance.choice([p for p in POINTS if not p.startswith("submit")])
    scene.world.arm(point, "stop")
    scene.world.until(scene.world.reached, f"{point} to be reached")
    pid = scene.world.reached()
    scene.wait(1.2 * scene.lease_s(), 1.5 * scene.lease_s())
    send(pid, CONT)
    return f"pid {pid} at {point}"


def _stopped(what: str) -> Row:
    def run(scene: Scene) -> str:
        pid = _pid(scene, what)
        send(pid, STOP)
        scene.wait(1.2 * scene.lease_s(), 1.5 * scene.lease_s())
        send(pid, CONT)
        return f"pid {pid}"

    return run


for _what in ("web.child", "worker", "worker.child", "dispatcher", "scheduler"):
    ROWS[f"stop: {_what} beyond the lease"] = _stopped(_what)


@row("out of memory: the kernel kills a unit at work")
def _kernel_kills(scene: Scene) -> str:
    (job,) = scene.load.promised(DEAF, seconds=1.5)
    begun = "SELECT pid FROM faults.starts WHERE job = %s"
    scene.world.until(lambda: scene.world.rows(begun, job), "the job to start")
    ((pid,),) = scene.world.rows(begun, job)
    send(int(pid), KILL)
    scene.rescues = True
    return f"pid {pid}"


@row("out of memory: a job wants more than its kind may take")
def _greedy(scene: Scene) -> str:
    (job,) = scene.load.promised(GREEDY, end="failed")
    return f"job {job}"


# --- Valkey ---------------------------------------------------------------------------------


@row("valkey flushed: while messages wait")
def _flushed(scene: Scene) -> str:
    supervisor = scene.world.pid("worker")
    units = children_of(supervisor)
    for pid in (supervisor, *units):
        send(pid, STOP)
    scene.world.until(lambda: count_messages(QUEUE) >= 2, "messages to wait")
    jobs = [job for (job,) in scene.world.rows(_DISPATCHED)]
    get_valkey().flushall()
    ((flushed_at,),) = scene.world.rows("SELECT clock_timestamp()")
    for pid in (supervisor, *units):
        send(pid, CONT)
    scene.world.until(
        lambda: slowest_start_s(scene.world.rows, jobs, flushed_at) < float("inf"), "all to start"
    )
    scene.flush_s = slowest_start_s(scene.world.rows, jobs, flushed_at)
    return f"{len(jobs)} lost messages, all jobs started in {scene.flush_s:.2f} s"


_DISPATCHED = "SELECT id FROM neozork.jobs WHERE status = 'dispatched' AND queue = 'money'"


@row("valkey killed: started again empty")
def _valkey_killed(scene: Scene) -> str:
    scene.wait()
    world = scene.world
    world.mends_servers = False
    world.valkey.process.kill()
    world.valkey.process.wait()
    scene.wait(0.2, 2.0)
    for path in world.valkey.data.glob("appendonlydir/*"):
        path.unlink()
    world.valkey.start()
    world.mends_servers = True
    return "empty"


@row("valkey full: noeviction")
def _valkey_full(scene: Scene) -> str:
    scene.wait()
    get_valkey().config_set("maxmemory", 1)
    scene.wait(1.0, 3.0)
    get_valkey().config_set("maxmemory", 0)
    return "maxmemory 1, noeviction"


# --- Postgres -------------------------------------------------------------------------------


@row("postgres restarted: at once")
def _restarted(scene: Scene) -> str:
    scene.wait()
    world = scene.world
    world.mends_servers = False
    world.postgres.account.run(
        [
            str(find_binaries(world.postgres.account) / "pg_ctl"),
            *("stop", "-m", "immediate", "-D", str(world.postgres.data / "cluster")),
        ]
    )
    world.postgres.process.wait()
    scene.wait(0.0, 1.5)
    world.postgres.start()
    world.mends_servers = True
    return "pg_ctl stop -m immediate, start"


@row("postgres terminated: backends at COMMIT")
def _terminated(scene: Scene) -> str:
    """Hold commits up by a standby that is not there, and end who waits: its commit stands."""
    scene.wait()
    _wait_for_standby(scene, "nobody")
    waiting = "SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
    ended: set[object] = set()

    def terminate() -> bool:
        for (pid,) in scene.world.rows(waiting):
            scene.world.rows("SELECT pg_terminate_backend(%s)", pid)
            ended.add(pid)
        return len(ended) >= 3

    try:
        scene.world.until(terminate, "three backends in COMMIT")
    finally:
        _wait_for_standby(scene, "")
    return f"{len(ended)} backends"


def _wait_for_standby(scene: Scene, name: str) -> None:
    scene.world.run(f"ALTER SYSTEM SET synchronous_standby_names = '{name}'")
    scene.world.run("SELECT pg_reload_conf()")


@row("postgres unheard: answers to COMMIT lost")
def _cut(scene: Scene) -> str:
    group = scene.chance.choice(GROUPS)
    proxy = scene.world.proxies[f"{group}.postgres"]
    before = proxy.cut
    proxy.cuts_after_commit = True
    scene.world.until(lambda: proxy.cut > before, "a commit to be cut")
    scene.wait(0.0, 1.0)
    proxy.heal()
    return f"{proxy.cut - before} of {group}"


@row("postgres full: no space on its disk")
def _disk_full(scene: Scene) -> str:
    if not scene.world.small_disk:
        return "not here: no disk of its own can be mounted"
    ballast = scene.world.disk / "ballast"
    scene.wait()
    scene.world.mends_servers = False
    try:
        with ballast.open("wb", buffering=0) as file, suppress(OSError):
            while True:
                file.write(bytes(_PAGE << 6))
        scene.wait(1.0, 3.0)
    finally:
        ballast.unlink(missing_ok=True)
        scene.world.mends_servers = True
    return "ENOSPC"


# --- the network ----------------------------------------------------------------------------


def _network(name: str, harm: Callable[[Scene, str], str]) -> None:
    for server in SERVERS:

        def run(scene: Scene, server: str = server) -> str:
            group = scene.chance.choice(GROUPS)
            said = harm(scene, f"{group}.{server}")
            return f"{group}.{server} {said}"

        ROWS[f"{name} network: to {server}"] = run


def _slow(scene: Scene, proxy: str) -> str:
    late_by_s = scene.chance.uniform(0.01, 0.3)
    way = scene.chance.choice(("sent", "answered"))
    narrow = scene.chance.choice((None, 50_000))
    direction = getattr(scene.world.proxies[proxy], way)
    direction.late_by_s, direction.bytes_per_s = late_by_s, narrow
    scene.wait(1.0, 3.0)
    scene.world.proxies[proxy].heal()
    return f"{way} late by {late_by_s:.2f} s, {narrow} bytes/s"


def _resetting(scene: Scene, proxy: str) -> str:
    times = scene.chance.randint(1, 5)
    for _ in range(times):
        scene.world.proxies[proxy].reset_all()
        scene.wait(0.1, 0.5)
    return f"{times} times"


def _half_open(scene: Scene, proxy: str) -> str:
    way = scene.chance.choice(("sent", "answered"))
    getattr(scene.world.proxies[proxy], way).swallows = True
    scene.wait(1.0, 2.0)
    scene.world.proxies[proxy].heal()
    return way


_network("slow", _slow)
_network("resetting", _resetting)
_network("half-open", _half_open)


# --- clocks, messages, releases -------------------------------------------------------------


def _moved_clock(ahead_s: int) -> Row:
    def run(scene: Scene) -> str:
        name = scene.chance.choice(("web", "worker", "dispatcher", "scheduler"))
        program = scene.world.program(name)
        right = program.environment
        for environment in (dict(right) | {"CLOCK_AHEAD_S": str(ahead_s)}, right):
            program.environment = environment
            send(scene.world.pid(name), TERM)
            scene.world.until(lambda: program.process is None, f"{name} to end")
            scene.world.pid(name)
            scene.wait(2.0, 3.0)
        return name

    return run


ROWS["clock: an hour ahead"] = _moved_clock(HOUR_S)
ROWS["clock: an hour behind"] = _moved_clock(-HOUR_S)


@row("messages: doubled and in reverse")
def _disorder(scene: Scene) -> str:
    jobs = scene.load.promised(EFFECT, 10)
    rows = scene.world.rows("SELECT id, tenant_id FROM neozork.jobs WHERE id = ANY(%s)", jobs)
    valkey = get_valkey()
    append = valkey.register_script(_APPEND)
    messages = [f"{EFFECT.name} {tenant} {job}" for job, tenant in rows]
    for _ in range(3):
        append(keys=[_MESSAGES + QUEUE, "jobs:messages"], args=messages[::-1])
        scene.wait(0.0, 0.2)
    return f"{len(messages)} three times"


@row("release: in the midst of jobs")
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
