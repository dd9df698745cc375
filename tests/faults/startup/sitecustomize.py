"""Python imports this at the start of every process of a fault test, a supervisor's units too.

So the real command lines run the real programs, with four things laid over them: the fail
points, the jobs that count effects, a clock that is wrong, and shorter times, so that a test need
not wait 10 s.
"""

import os
from datetime import timedelta


def _shorten_times() -> None:
    for module, name, value in (
        (claims, "LEASE", timedelta(seconds=1.5)),
        (claims, "_FIRST_BACK_OFF_S", 0.1),
        (running, "RENEW_EVERY_S", 0.4),
        (dispatch, "DEADLINE", timedelta(seconds=0.5)),
        (dispatch, "LONGEST_DEADLINE", timedelta(seconds=1)),
        (picks, "UNITS_FORGOTTEN_AFTER", timedelta(minutes=5)),
        (session, "IDLE_IN_TRANSACTION_MS", 1_500),
        (running, "FINISH_WITHIN_S", float(os.environ.get("FINISH_WITHIN_S", "8"))),
        (turns, "RECONCILE_EVERY", timedelta(seconds=1)),
    ):
        if not hasattr(module, name):
            raise AttributeError(f"{module.__name__} has no {name} to shorten")
        setattr(module, name, value)


try:
    import fail_points
    import fault_kinds

    from core.jobs import claims, dispatch, picks, running, turns
    from core.tenancy import session

    _shorten_times()
    fault_kinds.register()
    if "CLOCK_AHEAD_S" in os.environ or "CLOCK_SET_BY_S" in os.environ:
        import wrong_clock

        wrong_clock.install()
    if os.environ["FAULT"]:
        fail_points.install()
    if os.environ.get("FENCE") == "off":
        fail_points.switch_fence_off()
except Exception as error:
    # Python would print it and go on without us.
    raise SystemExit(70) from error
