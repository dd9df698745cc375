"""What is laid over the real programs: fail points, jobs that count effects, clocks, times.

The times are shorter, so that a test need not wait 10 s; `TIMES=real` leaves them as they are.
`CONTROL` takes a protection away, to show what it is for.
"""

import os
from datetime import timedelta

import fail_points
import fault_kinds
import wrong_clock

from core import processes
from core.jobs import claims, dispatch, picks, running, turns
from core.tenancy import engine, session


def lay_over() -> None:
    """Change this process as its environment says."""
    _set_times({(turns, "RECONCILE_EVERY"): timedelta(seconds=1)})
    if os.environ.get("TIMES") != "real":
        _set_times(_SHORT)
    fault_kinds.register()
    if "CLOCK_AHEAD_S" in os.environ or "CLOCK_SET_BY_S" in os.environ:
        wrong_clock.install()
    if os.environ.get("FAULT") or os.environ.get("FAULTS_ARMED"):
        fail_points.install()
    control = os.environ.get("CONTROL")
    if control:
        fail_points.CONTROLS[control]()


_SHORT = {
    (claims, "LEASE"): timedelta(seconds=1.5),
    (claims, "_FIRST_BACK_OFF_S"): 0.1,
    (claims, "_ABSENT_FOR_S"): 0.5,
    (running, "RENEW_EVERY_S"): 0.4,
    (processes, "HUNG_AFTER_S"): float(os.environ.get("HUNG_AFTER_S", "2")),
    (dispatch, "DEADLINE"): timedelta(seconds=float(os.environ.get("DEADLINE_S", "0.5"))),
    (dispatch, "LONGEST_DEADLINE"): timedelta(seconds=1),
    (picks, "UNITS_FORGOTTEN_AFTER"): timedelta(minutes=5),
    (engine, "ANSWERS_WITHIN_S"): 3.0,
    (session, "IDLE_IN_TRANSACTION_MS"): 1_500,
    (running, "FINISH_WITHIN_S"): float(os.environ.get("FINISH_WITHIN_S", "8")),
}


def _set_times(times: dict[tuple[object, str], object]) -> None:
    for (module, name), value in times.items():
        if not hasattr(module, name):
            raise AttributeError(f"{module} has no {name} to shorten")
        setattr(module, name, value)
