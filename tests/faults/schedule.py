"""A schedule from a seed: which fault comes when, what it did, and whether the laws held."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count, islice
from random import Random

from core.jobs.kinds import RECONCILE_TURNS
from core.tenancy.roles import tenant_role
from tests.faults import laws
from tests.faults.load import Ledger, Load
from tests.faults.rows.matrix import ROWS
from tests.faults.rows.scene import Scene
from tests.faults.world import World

RESCUED_WITHIN_S = 15.0
NEIGHBOUR_WAITS_AT_MOST_S = 5.0
_SETTLES_WITHIN_S = 90.0
# These harm nothing that a neighbour needs who has workers of its own.
_OTHERS = ("web", "worker", "scheduler")
SPARING = (
    *(f"{harm}: {other}" for harm in ("kill", "term", "stop") for other in _OTHERS),
    *(f"kill at: {operation}" for operation in ("submit", "claim", "finish")),
    "out of memory",
)


@dataclass(slots=True)
class Report:
    """What a run did and found."""

    ledger: Ledger = field(default_factory=Ledger)
    faults: int = 0
    rescue_s: float = 0.0
    flush_s: float = 0.0
    neighbour_s: float = 0.0
    settled_s: float = 0.0


def schedule(seed: int, only: str = "") -> Iterator[tuple[str, Random]]:
    """Yield rows without end, all or those that begin so: each once, by chance, then again."""
    chance = Random(seed)
    for number in count():
        rows = sorted(row for row in ROWS if row.startswith(only))
        chance.shuffle(rows)
        for name in rows:
            yield name, Random(f"{seed}/{number}/{name}")


class Run:
    """One seed's schedule in a world, under load."""

    def __init__(self, world: World, seed: int, *, per_s: float, only: str = "") -> None:
        self.world = world
        self.seed = seed
        self.per_s = per_s
        self.only = only
        self.report = Report()
        self._timed = world.times == "real"

    def play(self, *, faults: int | None, seconds: float | None) -> Report:
        """Play so many faults, or for so long; then let all work end, and look at the laws."""
        ends_at = time.monotonic() + (seconds or float("inf"))
        with Load(self.world, self.report.ledger, per_s=self.per_s, seed=self.seed) as load:
            self.world.rest(0.5)
            for name, chance in islice(schedule(self.seed, self.only), faults):
                if time.monotonic() > ends_at or self.report.ledger.breaches:
                    break
                self._one(load, name, chance)
        self._settle("the end")
        self._look(load)
        return self.report

    def _one(self, load: Load, name: str, chance: Random) -> None:
        ((since,),) = self.world.rows("SELECT clock_timestamp()")
        scene = Scene(self.world, load, chance)
        try:
            said = ROWS[name](scene)
        except AssertionError as error:
            said = f"did not come about: {error}"
            self.report.ledger.breaches.append(f"{name} {said}")
        began = time.monotonic()
        self._settle(name)
        settled_s = time.monotonic() - began
        self.report.faults += 1
        self.report.settled_s = max(self.report.settled_s, settled_s)
        self._measure(scene, name, since)
        self._look(load)
        print(f"{self.report.faults:4} {name}: {said}; settled in {settled_s:.1f} s", flush=True)

    def _settle(self, name: str) -> None:
        """Wait until all that was asked for so far has ended, and everybody answers again."""
        ((since,),) = self._rows("SELECT clock_timestamp()")
        ticked = "SELECT 1 FROM neozork.jobs WHERE kind = %s AND created_at > %s"
        try:
            self.world.until(
                lambda: (
                    not laws.stuck(self.world.rows, since)
                    and self.world.rows(ticked, RECONCILE_TURNS.name, since)
                    and self.world.is_ready()
                ),
                f"all to end after {name}",
                _SETTLES_WITHIN_S,
            )
        except AssertionError as error:
            self.report.ledger.breaches += [str(error), *laws.stuck(self.world.rows, since)]

    def _rows(self, query: str, *values: object) -> list[tuple[object, ...]]:
        found: list[list[tuple[object, ...]]] = []
        self.world.until(lambda: found.append(self.world.rows(query, *values)) or True, "an answer")
        return found[-1]

    def _measure(self, scene: Scene, name: str, since: object) -> None:
        report, rows = self.report, self._rows
        if scene.rescues:
            rescue_s, job = laws.slowest_rescue(rows, since)
            report.rescue_s = max(report.rescue_s, rescue_s)
            self._hold(rescue_s, RESCUED_WITHIN_S, f"in {name} job {job} of a dead worker waited")
        if scene.flush_s is not None:
            report.flush_s = max(report.flush_s, scene.flush_s)
            self._hold(scene.flush_s, laws.FLUSH_MADE_GOOD_WITHIN_S, "a flush was made good after")
        if name.startswith(SPARING):
            neighbours = list(report.ledger.quiet)
            waited_s = laws.slowest_wait_s(rows, neighbours, since)
            report.neighbour_s = max(report.neighbour_s, waited_s)
            self._hold(waited_s, NEIGHBOUR_WAITS_AT_MOST_S, f"in {name} a neighbour waited")
            report.ledger.breaches += laws.disturbed(rows, neighbours, since)

    def _hold(self, seconds: float, limit_s: float, what: str) -> None:
        # Beside other tests a machine is as slow as they make it.
        if self._timed and seconds > limit_s:
            self.report.ledger.breaches.append(f"{what} {seconds:.1f} s")

    def _look(self, load: Load) -> None:
        ledger, rows = self.report.ledger, self._rows
        with ledger.lock:
            owed = dict(ledger.owed)
        ended = {job: owed[job] for (job,) in rows(_ENDED, list(owed))}
        ledger.breaches += laws.lost(rows, ended) + laws.doubled(rows)
        if load.stop.is_set():
            ledger.breaches += laws.lost(rows, {j: e for j, e in owed.items() if j not in ended})
            for customer in load.customers:
                schema = tenant_role(customer.tenant)
                ledger.breaches += laws.repeated(rows, customer.tenant, schema, ledger)
                ledger.breaches += laws.strayed(rows, customer.tenant, schema)


_ENDED = "SELECT id FROM neozork.jobs WHERE id = ANY(%s) AND finished_at IS NOT NULL"
