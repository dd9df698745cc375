from dataclasses import replace

import numpy as np

from core.trading.bars.labels import bar_label
from tests.core.trading.bars.builders import a_file, read, some_bars, utc


def test_a_date_is_shown_as_it_stood_in_the_file() -> None:
    bars = read(a_file("2024-02-28", "2024-02-29", "2024-03-01")).bars
    assert [bar_label(bars, n) for n in range(3)] == ["2024-02-28", "2024-02-29", "2024-03-01"]


def test_a_timed_bar_is_shown_by_its_close() -> None:
    bars = replace(some_bars(n=1), stamps=np.array([utc("2024-03-04T16:00:00")]))
    assert bar_label(bars, 0) == "2024-03-04T16:00:00Z"
    odd = replace(bars, stamps=bars.stamps + 5)
    assert bar_label(odd, 0) == "2024-03-04T16:00:00.000005Z"
