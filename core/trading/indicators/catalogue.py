"""TA-Lib's catalogue as the strategy language sees it, and what is known of its functions."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import talib
from talib import abstract

from core.trading.indicators.native import argument_range, output_is_whole

PLATFORM_BOUND = frozenset(
    (
        "ACOS",
        "ASIN",
        "ATAN",
        "COS",
        "COSH",
        "EXP",
        "HT_DCPERIOD",
        "HT_DCPHASE",
        "HT_PHASOR",
        "HT_SINE",
        "HT_TRENDLINE",
        "HT_TRENDMODE",
        "LINEARREG_ANGLE",
        "LN",
        "LOG10",
        "MAMA",
        "SIN",
        "SINH",
        "TAN",
        "TANH",
    )
)
"""Functions whose bits depend on the CPU.

They are the ones that call libm's sin, cos, sincos, tan, asin, acos, atan, sinh, cosh, tanh,
exp, log or log10 (imports of the bundled library, by `objdump -d`): glibc picks a variant with
or without FMA at load time, and the variants differ in the last bit. Its `fma` is exact on all,
as are + - * / and sqrt. A test runs the catalogue with FMA masked away and finds no others.
"""

ANCHORED = frozenset(
    (
        "VWAP",
        "OBV",
        "AD",
        "PVT",
        "NVI",
        "PVI",
        "WAD",
        "CUMSUM",
        "MAXINDEX",
        "MININDEX",
        "MINMAXINDEX",
    )
)
"""Functions whose value depends on the first bar of the data for ever."""

UNSTABLE = frozenset(
    (
        "ADOSC",
        "ADX",
        "ADXR",
        "APO",
        "ATR",
        "CMO",
        "CVI",
        "DEMA",
        "DX",
        "EFI",
        "EMA",
        "ERI",
        "HA",
        "HT_DCPERIOD",
        "HT_DCPHASE",
        "HT_PHASOR",
        "HT_SINE",
        "HT_TRENDLINE",
        "HT_TRENDMODE",
        "KAMA",
        "KC",
        "KDJ",
        "MACD",
        "MACDFIX",
        "MAMA",
        "MASSI",
        "MINUS_DI",
        "MINUS_DM",
        "NATR",
        "PLUS_DI",
        "PLUS_DM",
        "PPO",
        "PVO",
        "RMA",
        "RSI",
        "RVI",
        "SAR",
        "SAREXT",
        "SMI",
        "STOCHRSI",
        "SUPERTREND",
        "T3",
        "TEMA",
        "TRIX",
        "TSI",
        "ZLEMA",
    )
)
"""Functions that remember bars before their warm-up and forget them only slowly."""

MAMA_TYPE = 7
UNSTABLE_MA_TYPES = frozenset((1, 3, 4, 6, MAMA_TYPE, 8, 12, 13))


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument of an indicator with its closed range; `choices` lists the MA types."""

    name: str
    default: float
    whole: bool
    low: float
    high: float
    choices: tuple[tuple[int, str], ...]

    @property
    def is_ma_type(self) -> bool:
        """Whether the argument picks a moving average by number."""
        return bool(self.choices)


@dataclass(frozen=True, slots=True)
class Indicator:
    """One function of the catalogue.

    `sources`: the default series of each input in the order of the call, `periods` standing
    for one that has no default. `selectable`: how many of the first sources `on:` may name.
    `whole`: for each output, whether it holds whole numbers.
    """

    name: str
    sources: tuple[str, ...]
    selectable: int
    arguments: Mapping[str, Argument]
    outputs: tuple[str, ...]
    whole: tuple[bool, ...]

    def is_platform_bound(self, values: Mapping[str, float]) -> bool:
        """Say whether its bits depend on the CPU with these arguments."""
        return self.name in PLATFORM_BOUND or MAMA_TYPE in self._ma_types(values)

    def is_unstable(self, values: Mapping[str, float]) -> bool:
        """Say whether it remembers bars before its warm-up with these arguments."""
        return self.name in UNSTABLE or bool(UNSTABLE_MA_TYPES & self._ma_types(values))

    def _ma_types(self, values: Mapping[str, float]) -> set[int]:
        return {
            int(values.get(argument.name, argument.default))
            for argument in self.arguments.values()
            if argument.is_ma_type
        }


@cache
def indicator_names() -> tuple[str, ...]:
    """Answer the names of the catalogue's functions in alphabetical order."""
    return tuple(sorted(talib.get_functions()))


@cache
def indicator(name: str) -> Indicator | None:
    """Answer the function of that name, None where the catalogue has none."""
    if name not in indicator_names():
        return None
    info = abstract.Function(name).info
    single: list[str] = []
    fixed: list[str] = []
    for source in info["input_names"].values():
        if isinstance(source, str):
            single.append(source)
        else:
            fixed.extend(source)
    outputs = tuple(info["output_names"])
    return Indicator(
        name=name,
        sources=(*single, *fixed),
        selectable=len(single),
        arguments={
            argument: _argument(name, index, argument, default)
            for index, (argument, default) in enumerate(info["parameters"].items())
        },
        outputs=outputs,
        whole=tuple(output_is_whole(name, index) for index in range(len(outputs))),
    )


def _argument(function: str, index: int, name: str, default: float) -> Argument:
    bounds = argument_range(function, index)
    return Argument(
        name=name,
        default=default,
        whole=bounds.whole,
        low=bounds.low,
        high=bounds.high,
        choices=bounds.choices,
    )
