"""Where a row plays, and what a row is."""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from tests.faults.load import Load
from tests.faults.world import World


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
