"""Valkey flushed, killed, full; Postgres restarted, unheard at COMMIT, full; messages twice."""

import signal
from contextlib import suppress

from core.jobs.broker import _APPEND, count_messages
from core.local.postgres import find_binaries
from core.valkey import get_valkey
from core.wording import counted
from tests.faults.laws import slowest_start_s
from tests.faults.rows.scene import Row, Scene
from tests.faults.stage import children_of, send
from tests.faults.startup.fault_kinds import EFFECT, QUEUE
from tests.faults.world import GROUPS

STOP, CONT = signal.SIGSTOP, signal.SIGCONT
_MESSAGES = "jobs:messages:"


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
    return f"{counted(len(jobs), 'lost message')}, all jobs started in {scene.flush_s:.2f} s"


_DISPATCHED = "SELECT id FROM neozork.jobs WHERE status = 'dispatched' AND queue = 'money'"


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


def _valkey_full(scene: Scene) -> str:
    scene.wait()
    get_valkey().config_set("maxmemory", 1)
    scene.wait(1.0, 3.0)
    get_valkey().config_set("maxmemory", 0)
    return "maxmemory 1, noeviction"


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


def _cut(scene: Scene) -> str:
    group = scene.chance.choice(GROUPS)
    proxy = scene.world.proxies[f"{group}.postgres"]
    before = proxy.cut
    proxy.commits_to_cut = scene.chance.choice((1, 3, 10))
    scene.world.until(lambda: proxy.cut > before, "a commit to be cut")
    scene.wait(0.0, 1.0)
    proxy.heal()
    return f"{proxy.cut - before} of {group}"


def _disk_full(scene: Scene) -> str:
    if not scene.world.small_disk:
        return "not here: no disk of its own can be mounted"
    ballast = scene.world.disk / "ballast"
    scene.wait()
    scene.world.mends_servers = False
    try:
        with ballast.open("wb", buffering=0) as file, suppress(OSError):
            while True:
                file.write(bytes(1 << 18))
        scene.wait(1.0, 3.0)
    finally:
        ballast.unlink(missing_ok=True)
        scene.world.mends_servers = True
    return "ENOSPC"


def _disorder(scene: Scene) -> str:
    jobs = scene.load.promised(EFFECT, 10)
    rows = scene.world.rows("SELECT id, tenant_id FROM neozork.jobs WHERE id = ANY(%s)", jobs)
    valkey = get_valkey()
    append = valkey.register_script(_APPEND)
    messages = [f"{EFFECT.name} {tenant} {job}" for job, tenant in rows]
    for _ in range(3):
        append(keys=[_MESSAGES + QUEUE, "jobs:messages"], args=messages[::-1])
        scene.wait(0.0, 0.2)
    return f"{counted(len(messages), 'message')} three times"


ROWS: dict[str, Row] = {
    "valkey flushed: while messages wait": _flushed,
    "valkey killed: started again empty": _valkey_killed,
    "valkey full: noeviction": _valkey_full,
    "postgres restarted: at once": _restarted,
    "postgres terminated: backends at COMMIT": _terminated,
    "postgres unheard: answers to COMMIT lost": _cut,
    "postgres full: no space on its disk": _disk_full,
    "messages: doubled and in reverse": _disorder,
}
