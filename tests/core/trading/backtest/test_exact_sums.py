import math

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from core.trading.backtest.exact_sums import ROOM, exact_sum, sum_in_full

HALF = 2.0**-53
BITS = st.integers(-60, 60).map(lambda power: 2.0**power)
NUMBERS = st.floats(-1e150, 1e150) | st.floats(-2, 2) | BITS | BITS.map(lambda bit: -3 * bit)


def ready(values: list[float]) -> np.ndarray:
    return np.array([*values, *[np.nan] * ROOM])


@given(st.lists(NUMBERS, max_size=60))
@example([1.0, HALF])
@example([1.0, HALF, HALF**2])
@example([1.0, HALF, -(HALF**2)])
@example([1.0 + 2 * HALF, HALF, HALF**2, -(HALF**2)])
@example([1e16, 1.0, 1e-16])
@example([-0.0])
def test_a_sum_is_rounded_once(values: list[float]) -> None:
    assert exact_sum(ready(values), len(values)) == math.fsum(values)
    assert sum_in_full(ready(values), len(values)) == math.fsum(values)


def test_a_tie_that_errors_cannot_decide_is_worked_out_in_full() -> None:
    """The errors' own sum loses the last value, which alone says which way the tie goes."""
    tie = [1.0, HALF, 2.0**-120]
    assert exact_sum(ready(tie), 3) == 1.0 + 2 * HALF
    assert exact_sum(ready([-x for x in tie]), 3) == -1.0 - 2 * HALF


def test_what_is_infinite_or_unknown_stays_so() -> None:
    assert exact_sum(ready([1.0, math.inf]), 2) != exact_sum(ready([1.0]), 1)
    assert math.isnan(exact_sum(ready([1.0, math.nan]), 2))
