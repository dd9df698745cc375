"""The network between our processes and the servers: slow, resetting, half-open."""

from collections.abc import Callable

from core.wording import counted
from tests.faults.rows.scene import Row, Scene
from tests.faults.world import GROUPS, SERVERS

Harm = Callable[[Scene, str], str]


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
    return counted(times, "time")


def _half_open(scene: Scene, proxy: str) -> str:
    way = scene.chance.choice(("sent", "answered"))
    getattr(scene.world.proxies[proxy], way).swallows = True
    scene.wait(1.0, 2.0)
    scene.world.proxies[proxy].heal()
    return way


def _between(harm: Harm, server: str) -> Row:
    def run(scene: Scene) -> str:
        proxy = f"{scene.chance.choice(GROUPS)}.{server}"
        return f"{proxy} {harm(scene, proxy)}"

    return run


_HARMS: dict[str, Harm] = {"slow": _slow, "resetting": _resetting, "half-open": _half_open}
ROWS: dict[str, Row] = {
    f"{name} network: to {server}": _between(harm, server)
    for name, harm in _HARMS.items()
    for server in SERVERS
}
