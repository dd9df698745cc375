import subprocess
import sys

PROGRAM = """
import gc
from dataclasses import replace
import numpy as np
from numba.core.dispatcher import Dispatcher
from core.trading.backtest.run import run_backtest
from core.trading.backtest.settings import Costs, Profile, Settings
from core.trading.backtest.warm import warm
from core.trading.strategy.reading import read_strategy
from tests.laws.strategies import ALL, PLAIN, hourly_bars

def signatures():
    found = [thing for thing in gc.get_objects() if isinstance(thing, Dispatcher)]
    return {f.py_func.__qualname__: len(f.signatures) for f in found if "core." in f.__module__}

warm()
before = signatures()
bars = hourly_bars(3, 300)
for column in (bars.stamps, bars.open, bars.close, bars.volume):
    column.flags.writeable = False
bars = replace(bars, high=np.repeat(bars.high, 2)[::2], low=np.repeat(bars.low, 2)[::2])
costs = Costs(commission_bps=5, minimum=1, borrow_apr=2)
for document in ALL.values():
    for how in (Settings(), Settings(costs=costs, lot=1, close_at_end=True)):
        run_backtest(read_strategy(document), bars, settings=how)
for profile in Profile:
    run_backtest(read_strategy(PLAIN), bars, settings=Settings(profile=profile))
after = signatures()
print(len(before), {name: after[name] for name in after if after[name] != before.get(name)})
"""


def test_after_warming_no_strategy_compiles_anything() -> None:
    command = [sys.executable, "-c", PROGRAM]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    functions, _, compiled = told.partition(" ")
    assert int(functions) > 40
    assert compiled.strip() == "{}"
