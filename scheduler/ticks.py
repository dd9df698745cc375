"""Every tick: when, and the one core function that turns due rows into job rows."""

from collections.abc import Callable
from dataclasses import dataclass

from core.identity.trials import enqueue_ended_trials


@dataclass(frozen=True, slots=True)
class Tick:
    """One tick: its name, the function, and how many seconds lie between two.

    Nothing depends on a tick having happened: the next one finds the same rows due.
    """

    name: str
    function: Callable[[], int]
    every_s: int


TICKS = (Tick(name="end_trials", function=enqueue_ended_trials, every_s=60),)
