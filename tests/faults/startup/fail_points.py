"""The named places of the job protocol at which a process can be killed or stopped.

They are laid over the real protocol from outside: nothing of this is in the product, so that
there is nothing to arm by accident. `FAULT=point:action[:n]` arms one, at its n-th arrival;
`FAULT_SPENT` names the file that marks it as spent, for all processes that inherit both.
In the folder `FAULTS_ARMED` a file named as a point arms it while the processes run: the first to
arrive takes the file, whose text is the action, and leaves its pid in the file `reached`.
"""

import os
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import event
from sqlalchemy.orm import Session

from core.jobs import broker, claims, dispatch, events, submit
from core.jobs.models import Job

POINTS = (
    "submit.before_commit",
    "submit.after_commit",
    "dispatch.before_commit",
    "dispatch.after_commit",
    "dispatch.published",
    "claim.before_commit",
    "claim.after_commit",
    "finish.before_commit",
    "finish.after_commit",
)
ACTIONS = {"kill": signal.SIGKILL, "stop": signal.SIGSTOP}
_arrivals: Counter[str] = Counter()


def reached(point: str) -> None:
    """Do what is armed for a point, if this is the arrival that it waits for."""
    if "FAULTS_ARMED" in os.environ:
        _take(Path(os.environ["FAULTS_ARMED"]), point)
    armed, action, number = (os.environ["FAULT"] + ":1:1").split(":")[:3]
    if point != armed:
        return
    _arrivals[point] += 1
    if _arrivals[point] != int(number):
        return
    try:
        os.close(os.open(os.environ["FAULT_SPENT"], os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return
    _act(action)


def _take(folder: Path, point: str) -> None:
    mine = folder / f"taken-{os.getpid()}"
    try:
        (folder / point).rename(mine)
    except FileNotFoundError:
        return
    action = mine.read_text()
    mine.write_text(str(os.getpid()))
    mine.rename(folder / "reached")
    _act(action)


def _act(action: str) -> None:
    # To this very thread: sent to the process, another may take it, and this one runs on.
    signal.raise_signal(ACTIONS[action])


def install() -> None:
    """Lay the points over the protocol of this process."""
    event.listen(Session, "before_commit", _before_commit)
    event.listen(Session, "after_commit", _after_commit)
    _mark_submitting()
    _mark_picking()
    _mark_publishing()
    _mark_claiming()
    _mark_finishing()


def _without_fence() -> None:
    """Let every worker write what it likes."""
    claims._SUCCEED = claims._ROW.values(status="succeeded").returning(Job.id)


def _without_deadline() -> None:
    """Publish a message once, and never look after it."""
    dispatch.republish_overdue = lambda _publish: 0


def _without_epoch() -> None:
    """Take every Valkey for the one of before, flushed or not."""
    events.current_epoch = lambda: "the one and only"


# What shows that a protection is needed, and that the laws see it missing.
CONTROLS = {
    "no fence": _without_fence,
    "no deadline": _without_deadline,
    "no epoch": _without_epoch,
}


def _before_commit(session: Session) -> None:
    operation = session.info.get("operation")
    if operation:
        session.flush()
        reached(f"{operation}.before_commit")


def _after_commit(session: Session) -> None:
    operation = session.info.get("operation")
    if operation:
        reached(f"{operation}.after_commit")


def _mark_submitting() -> None:
    real = submit.submit_job

    def submit_job(session: Session, **asked: Any) -> Any:
        session.info["operation"] = "submit"
        return real(session, **asked)

    submit.submit_job = submit_job


def _mark_picking() -> None:
    real = dispatch.pick

    def pick(session: Session, *asked: Any, **more: Any) -> Any:
        picked = real(session, *asked, **more)
        if picked:
            session.info["operation"] = "dispatch"
        return picked

    dispatch.pick = pick


def _mark_publishing() -> None:
    real = broker.publish

    def publish(messages: Any) -> None:
        real(messages)
        if messages:
            reached("dispatch.published")

    broker.publish = publish


def _mark_claiming() -> None:
    real = claims.run_as

    def run_as(tenant_id: Any, statement: Any, values: Any) -> Any:
        if statement is not claims._CLAIM:
            return real(tenant_id, statement, values)
        # One round trip: before its commit is before it is sent.
        reached("claim.before_commit")
        answer = real(tenant_id, statement, values)
        reached("claim.after_commit")
        return answer

    claims.run_as = run_as


def _mark_finishing() -> None:
    real = claims.finishing

    @contextmanager
    def finishing(taken: claims.Claim) -> Iterator[Session]:
        with real(taken) as session:
            session.info["operation"] = "finish"
            yield session

    claims.finishing = finishing
