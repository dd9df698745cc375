"""Numbers of the closed trades, net of fees; what is undefined is NaN."""

import math

from core.trading.backtest.daily import deviation
from core.trading.backtest.exact_sums import exact_sum
from core.trading.backtest.jit import compiled
from core.trading.backtest.records import RecordArray, State
from core.trading.backtest.run_numbers import Numbers
from core.trading.bars.series import FloatArray, IntArray
from core.trading.bars.timeframes import MICROSECONDS_PER_DAY

_NAN = float("nan")


@compiled
def measure_trades(
    trades: RecordArray,
    count: int,
    stamps: IntArray,
    state: State,
    work: FloatArray,
    numbers: Numbers,
) -> None:
    """Write the statistics of the first `count` trades, and what all fills came to.

    `stamps`: int64[n] of the bars that trades count in. `state`: with the position still open.
    `work`: float64, longer than `count` by more than `exact_sums.ROOM`.
    """
    numbers.trades = count
    measure_wins(trades, count, work, numbers)
    measure_times(trades, count, stamps, numbers)
    for k in range(count):
        work[k] = trades[k].fees
    work[count] = state.fees
    numbers.fees = exact_sum(work, count + 1)
    for k in range(count):
        row = trades[k]
        work[k] = row.quantity * row.entry_price + row.quantity * row.exit_price
    work[count] = 0.0 if math.isnan(state.entry_price) else abs(state.quantity) * state.entry_price
    numbers.traded = exact_sum(work, count + 1)


@compiled
def measure_wins(trades: RecordArray, count: int, work: FloatArray, numbers: Numbers) -> None:
    """Write what follows from the trades' profits: averages, ratios, runs, and the SQN."""
    for k in range(count):
        work[k] = trades[k].pnl
    total = exact_sum(work, count)
    numbers.expectancy = total / count if count else _NAN
    spread = deviation(work, count, numbers.expectancy)
    defined = spread > 0.0
    numbers.sqn = math.sqrt(count) * numbers.expectancy / spread if defined else _NAN
    wins, won, best_run, best = sum_of_side(trades, count, 1.0, work)
    losses, lost, worst_run, worst = sum_of_side(trades, count, -1.0, work)
    numbers.win_rate = wins / count if count else _NAN
    numbers.profit_factor = won / lost if lost > 0.0 else _NAN
    numbers.average_win = won / wins if wins else _NAN
    numbers.average_loss = -lost / losses if losses else _NAN
    both = wins > 0 and numbers.average_loss < 0.0
    numbers.payoff = numbers.average_win / -numbers.average_loss if both else _NAN
    numbers.best_trade = best if count else _NAN
    numbers.worst_trade = -worst if count else _NAN
    numbers.max_consecutive_wins = best_run
    numbers.max_consecutive_losses = worst_run


@compiled
def sum_of_side(
    trades: RecordArray, count: int, sign: float, work: FloatArray
) -> tuple[int, float, int, float]:
    """Answer how many trades won, their sum, the longest run and the largest, where `sign` is 1.

    Where it is -1, the same of the losses, unsigned.
    """
    found, run, longest, largest = 0, 0, 0, -math.inf
    for k in range(count):
        gain = sign * trades[k].pnl
        largest = max(largest, gain)
        run = run + 1 if gain > 0.0 else 0
        longest = max(longest, run)
        if gain > 0.0:
            work[found] = gain
            found += 1
    return found, exact_sum(work, found), longest, largest


@compiled
def measure_times(trades: RecordArray, count: int, stamps: IntArray, numbers: Numbers) -> None:
    """Write how long trades were held on average; whole numbers, so that their sums are exact."""
    bars, time = 0, 0
    for k in range(count):
        bars += trades[k].exit_bar - trades[k].entry_bar
        time += stamps[trades[k].exit_bar] - stamps[trades[k].entry_bar]
    numbers.average_trade_bars = bars / count if count else _NAN
    numbers.average_trade_days = time / count / MICROSECONDS_PER_DAY if count else _NAN


@compiled
def bars_in_market(trades: RecordArray, count: int, open_since: int, first: int, stop: int) -> int:
    """Answer how many of bars [first, stop) held a position, entry and exit bars included.

    `open_since`: the entry bar of the position still open, -1 where there is none. A bar on
    which one trade ends and the next begins counts once.
    """
    held, free = 0, first
    for k in range(count):
        after = trades[k].exit_bar + 1
        held += max(after - max(trades[k].entry_bar, free), 0)
        free = max(free, after)
    if open_since >= 0:
        held += max(stop - max(open_since, free), 0)
    return held
