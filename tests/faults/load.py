"""Customers while faults happen: what they were promised, and what they were answered."""

import http.client
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from types import MappingProxyType
from typing import Any, Self
from uuid import UUID, uuid4

from core.errors import UnavailableError
from core.jobs.kinds import Kind
from core.jobs.submit import submit_job
from core.tenancy.roles import tenant_role
from core.tenancy.session import open_session
from tests.builders import (
    PASSWORD,
    a_client,
    a_mail,
    a_member,
    a_strategy,
    a_tenant,
    a_token,
    some_data,
)
from tests.faults.startup.fault_kinds import DEAF, EFFECT, QUIET
from tests.faults.witnesses import results_of
from tests.faults.world import World

PROBLEM = "application/problem+json"
_ANSWERS_WITHIN_S = 40.0
_IN_FLIGHT = "idempotency_in_flight"


@dataclass(slots=True)
class Ledger:
    """What was promised: ids of jobs, by the end that each is owed; and every answer.

    `asked`: each tenant's requests that may have been heard, answered or not.
    """

    owed: dict[UUID, str] = field(default_factory=dict)
    quiet: dict[UUID, float] = field(default_factory=dict)
    asked: Counter[UUID] = field(default_factory=Counter)
    taken: Counter[UUID] = field(default_factory=Counter)
    answers: Counter[str] = field(default_factory=Counter)
    breaches: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def promise(self, jobs: list[UUID], end: str = "succeeded") -> None:
        with self.lock:
            self.owed.update(dict.fromkeys(jobs, end))

    def judge(self, status: int, headers: "http.client.HTTPMessage", body: dict[str, Any]) -> None:
        """Take note of an answer; only some may be given, whatever the fault."""
        code = body.get("code", "")
        with self.lock:
            self.answers[f"{status} {code}".strip()] += 1
            if 200 <= status < 300 or code == _IN_FLIGHT:
                return
            promised = headers.get("Content-Type") == PROBLEM and headers.get("Retry-After")
            if status != 503 or not promised:
                self.breaches.append(f"answered {status} {dict(headers)} {body}")


class Load:
    """Threads that ask for work until they are told to stop."""

    def __init__(self, world: World, ledger: Ledger, *, per_s: float, seed: int) -> None:
        self.world = world
        self.ledger = ledger
        self.chance = Random(seed)
        self.per_s = per_s
        self.stop = threading.Event()
        self.noisy = [a_tenant(tier="enterprise") for _ in range(2)]
        self.neighbour = a_tenant(tier="enterprise")
        self.customers = [_Customer(self) for _ in range(2)]
        self._threads = [
            *(self._repeat(customer.backtest, per_s / 8) for customer in self.customers),
            *(self._repeat(self._submitting(tenant), per_s / 8) for tenant in self.noisy),
            self._repeat(self._ask_quietly, 1.0),
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        for thread in self._threads:
            thread.join()

    def submit(self, tenant: UUID, kind: Kind, count: int = 1, **args: object) -> list[UUID]:
        """Ask for jobs in one transaction; whoever gets an answer has a promise."""
        with open_session(tenant) as session:
            return [submit_job(session, kind=kind, args=args) for _ in range(count)]

    def promised(
        self, kind: Kind, count: int = 1, end: str = "succeeded", **args: object
    ) -> list[UUID]:
        """Ask as the driver does between faults, when an answer can be expected."""
        jobs = self.submit(self.noisy[0], kind, count, **args)
        self.ledger.promise(jobs, end)
        return jobs

    def _submitting(self, tenant: UUID) -> Callable[[], None]:
        chance = Random(self.chance.random())

        def ask() -> None:
            if chance.random() < 0.1:
                jobs = self.submit(tenant, DEAF, seconds=chance.uniform(0.05, 0.4))
            else:
                jobs = self.submit(tenant, EFFECT, chance.choice([1, 2, 3, 6]))
            self.ledger.promise(jobs)

        return ask

    def _ask_quietly(self) -> None:
        (job,) = self.submit(self.neighbour, QUIET)
        self.ledger.promise([job])
        with self.ledger.lock:
            self.ledger.quiet[job] = time.monotonic()

    def _repeat(self, ask: Callable[[], None], per_s: float) -> threading.Thread:
        def run() -> None:
            while not self.stop.wait(1 / per_s):
                try:
                    ask()
                except UnavailableError:
                    continue  # nothing was promised
                except Exception as error:
                    self.ledger.breaches.append(f"a submission raised {error!r}")
                    raise

        return threading.Thread(target=run, daemon=True)


class _Customer:
    """One firm's program: it asks over REST, and asks again with its key until it is answered."""

    def __init__(self, load: Load) -> None:
        self.load = load
        self.tenant = a_tenant(tier="enterprise")
        client = a_client(self.tenant)
        self.token = a_token(self.tenant)
        self.mail = a_mail()
        a_member(self.tenant, email=self.mail)
        self.body = {
            "strategy_id": a_strategy(client),
            "data_id": some_data(client, self.tenant),
            "costs": {"commission_bps": 10},
        }
        self.chance = Random(load.chance.random())
        load.world.run(results_of(tenant_role(self.tenant)))
        imported = "SELECT 1 FROM neozork.jobs WHERE tenant_id = %s AND status = 'succeeded'"
        load.world.until(lambda: load.world.rows(imported, self.tenant), "the bars to be imported")

    def backtest(self) -> None:
        key = str(uuid4())
        with self.load.ledger.lock:
            self.load.ledger.asked[self.tenant] += 1
        made = self._post(key)
        if made is None:
            return
        with self.load.ledger.lock:
            self.load.ledger.taken[self.tenant] += 1
        self.load.ledger.promise([UUID(made["job_id"])])
        if self.chance.random() < 0.2:
            again = self._post(key)
            if again is not None and again != made:
                self.load.ledger.breaches.append(f"doubled: {made} and {again} to one key")
        else:
            self._until_answered(*self.chance.choice(self._others(made)))

    def _others(self, made: dict[str, Any]) -> list[tuple[str, ...]]:
        """Answer what else a customer asks for: to see, and to sign in anew."""
        sign_in = json.dumps({"email": self.mail, "password": PASSWORD})
        return [
            ("GET", f"/api/v1/jobs/{made['job_id']}"),
            ("GET", "/api/v1/trading/backtesting/?limit=5"),
            ("POST", f"/api/v1/tenants/{self.tenant}/auth/login", sign_in),
        ]

    def _post(self, key: str) -> dict[str, Any] | None:
        return self._until_answered(
            "POST", "/api/v1/trading/backtesting/", json.dumps(self.body), {"Idempotency-Key": key}
        )

    def _until_answered(self, *request: Any) -> dict[str, Any] | None:
        """Ask until it is answered; None where the run ends first."""
        while True:
            try:
                status, headers, body = self._ask(*request)
            except (OSError, http.client.HTTPException, json.JSONDecodeError):
                self.load.ledger.answers["none"] += 1
                wait_s = 0.2
            else:
                self.load.ledger.judge(status, headers, body)
                if 200 <= status < 300:
                    return body
                wait_s = 0.2 * self.chance.random()
            if self.load.stop.wait(wait_s):
                return None

    def _ask(
        self,
        method: str,
        path: str,
        body: str | None = None,
        more: Mapping[str, str] = MappingProxyType({}),
    ) -> tuple[int, "http.client.HTTPMessage", dict[str, Any]]:
        port = self.load.world.front.port
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_ANSWERS_WITHIN_S)
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        try:
            connection.request(method, path, body, {**headers, **more})
            answer = connection.getresponse()
            return answer.status, answer.headers, json.loads(answer.read())
        finally:
            connection.close()
