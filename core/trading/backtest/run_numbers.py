"""The numbers of a finished run as compiled code writes them; NaN is undefined."""

from core.trading.backtest.records import dtype_of


class Numbers:
    """What `core.trading.backtest.metrics` publishes under the same names.

    Fractions are not percents. `traded`: the value of all fills.
    """

    final_equity: float
    total_return: float
    volatility: float
    sharpe: float
    sortino: float
    max_drawdown: float
    max_drawdown_days: float
    longest_drawdown_days: float
    exposure: float
    fees: float
    traded: float
    open_trades: int
    rejected: int
    ruined: int
    trades: int
    win_rate: float
    profit_factor: float
    expectancy: float
    average_win: float
    average_loss: float
    payoff: float
    best_trade: float
    worst_trade: float
    max_consecutive_wins: int
    max_consecutive_losses: int
    average_trade_bars: float
    average_trade_days: float
    sqn: float


NUMBERS = dtype_of(Numbers)
