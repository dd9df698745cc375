"""A strategy over bars with its parameters resolved, made into what the engine reads."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from core.errors import Fault
from core.trading.bars.series import Bars, FlagArray, FloatArray
from core.trading.strategy.assembly import Assembler
from core.trading.strategy.evaluation import Evaluation
from core.trading.strategy.frame import Frame
from core.trading.strategy.parameters import resolve_params
from core.trading.strategy.program import Program
from core.trading.strategy.rules import LevelRule, Quantity, Strategy
from core.trading.strategy.session_flags import SessionFlags, flag_session
from core.trading.strategy.signals import Level, LevelKind, Side, Signals, Sizing, SizingMethod
from core.trading.strategy.tree import Node


def compile_signals(
    strategy: Strategy,
    params: Mapping[str, Any],
    bars: Bars,
    *,
    frame: Frame | None = None,
) -> Signals:
    """Compute everything that the engine reads of a strategy over one symbol's bars.

    `params`: the ones that differ from their defaults. `frame`: one made of the same bars in
    the session's timezone, to share between calls. Bars before a run's first are given, too:
    they warm indicators up. Raises InvalidInputError where the parameters do not fit.
    """
    values = resolve_params(strategy, params)
    frame = frame or Frame(bars, strategy.session.timezone)
    with np.errstate(all="ignore"):
        evaluation = Evaluation(strategy, values, frame)
        return signals_of(evaluation, flag_session(frame.clock, strategy.session))


def timeframe_fault(strategy: Strategy, bars: Bars) -> Fault | None:
    """Answer the fault of bars that are not at the strategy's timeframe, None where they are."""
    if bars.timeframe is strategy.timeframe:
        return None
    message = f"The bars are {bars.timeframe.label}; the strategy is {strategy.timeframe.label}."
    return Fault("/timeframe", "bad_timeframe", message, "Give bars of the strategy's timeframe.")


def signals_of(evaluation: Evaluation, flags: SessionFlags) -> Signals:
    """Compute the same of an evaluation, whose session has been flagged; numpy must not warn."""
    strategy = evaluation.strategy
    risk, orders = strategy.risk, strategy.orders
    conditions = conditions_of(strategy)
    assembler = Assembler(evaluation)
    late = [node if node and assembler.reads_position(node) else None for node in conditions]
    ready = [None if late[i] else node for i, node in enumerate(conditions)]
    columns = condition_flags(evaluation, ready, flags)
    price = None
    if orders.price is not None:
        price = evaluation.column(orders.price)
    return Signals(
        long=Side(columns[0], columns[1], price) if strategy.long else None,
        short=Side(columns[2], columns[3], price) if strategy.short else None,
        program=_program(assembler, late, flags),
        day=evaluation.frame.clock.day if _reads_days(strategy) else None,
        in_session=flags.inside,
        session_close=flags.close,
        session_start=flags.start,
        entry=orders.entry,
        fill=orders.fill,
        ambiguity=orders.ambiguity,
        valid_bars=int(evaluation.quantity(orders.valid_bars)),
        limit_through=orders.limit_through,
        stop=_level(evaluation, risk.stop),
        target=_level(evaluation, risk.target),
        trail=_level(evaluation, risk.trail),
        trail_after_r=_given(evaluation, risk.trail_after_r),
        sizing=_sizing(strategy, evaluation),
        max_bars=None if risk.max_bars is None else int(evaluation.quantity(risk.max_bars)),
        cooldown_bars=int(evaluation.quantity(risk.cooldown_bars)),
        daily_loss_halt_percent=_given(evaluation, risk.daily_loss_halt_percent),
        drawdown_halt_percent=_given(evaluation, risk.drawdown_halt_percent),
        flat_at_close=strategy.session.flat_at_close,
    )


def _reads_days(strategy: Strategy) -> bool:
    by_volatility = strategy.sizing.method is SizingMethod.VOL_TARGET
    return by_volatility or strategy.risk.daily_loss_halt_percent is not None


def conditions_of(strategy: Strategy) -> list[Node | None]:
    """Answer long entry, long exit, short entry, short exit; None for one that is not there."""
    conditions: list[Node | None] = []
    for side in (strategy.long, strategy.short):
        conditions.append(side.entry.node if side else None)
        conditions.append(side.exit.node if side and side.exit else None)
    return conditions


def condition_flags(
    evaluation: Evaluation, conditions: list[Node | None], flags: SessionFlags
) -> list[FlagArray]:
    """Answer the flags of the four conditions, int8[n] each; None is never true."""
    return [
        _flags(evaluation, node, flags if index % 2 == 0 else None)
        for index, node in enumerate(conditions)
    ]


def _flags(evaluation: Evaluation, node: Node | None, session: SessionFlags | None) -> FlagArray:
    """Answer int8[n], 1 where a condition is true; an entry only inside the session."""
    if node is None:
        return np.zeros(len(evaluation.frame.bars), np.int8)
    true = evaluation.holds(node, truth=True)
    if session is not None and not session.always:
        true = true & session.inside.view(np.bool_)
    return np.require(true, np.bool_, ["C", "W"]).view(np.int8)


def _program(
    assembler: Assembler, conditions: list[Node | None], flags: SessionFlags
) -> Program | None:
    if not any(conditions):
        return None
    bound: FloatArray | None = None
    if not flags.always:
        bound = flags.inside.astype(np.float64)
    return assembler.assemble(conditions, bound)


def _level(evaluation: Evaluation, rule: LevelRule | None) -> Level | None:
    if rule is None:
        return None
    factor = evaluation.quantity(rule.quantity)
    if rule.kind is LevelKind.PRICE and rule.price is not None:
        return Level(rule.kind, np.atleast_1d(np.asarray(evaluation.number(rule.price))))
    if rule.kind is LevelKind.DISTANCE and rule.distance is not None:
        return Level(rule.kind, evaluation.column(rule.distance) * factor)
    return Level(rule.kind, np.array([factor]))


def _given(evaluation: Evaluation, quantity: Quantity | None) -> float | None:
    return None if quantity is None else evaluation.quantity(quantity)


def _sizing(strategy: Strategy, evaluation: Evaluation) -> Sizing:
    rule = strategy.sizing
    return Sizing(
        method=rule.method,
        value=evaluation.quantity(rule.value),
        max_leverage=evaluation.quantity(rule.max_leverage),
        lookback=int(evaluation.quantity(rule.lookback)),
        max_weight=_given(evaluation, rule.max_weight),
    )
