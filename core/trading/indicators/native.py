"""What TA-Lib's C library says about its own functions: ranges of arguments, kinds of outputs.

`talib.abstract` answers names and defaults but no ranges, so they are asked from the library
that the extension is linked to. Source: `ta_abstract.h` of TA-Lib 0.6 and later.
"""

import ctypes
from dataclasses import dataclass
from functools import cache

from talib import _ta_lib

_REAL_RANGE, _REAL_LIST, _INTEGER_RANGE, _INTEGER_LIST = range(4)
_INTEGER_OUTPUT = 1


class _ArgumentInfo(ctypes.Structure):
    _fields_ = (
        ("kind", ctypes.c_int),
        ("name", ctypes.c_char_p),
        ("flags", ctypes.c_int),
        ("display_name", ctypes.c_char_p),
        ("data", ctypes.c_void_p),
        ("default", ctypes.c_double),
        ("hint", ctypes.c_char_p),
        ("help_file", ctypes.c_char_p),
    )


class _OutputInfo(ctypes.Structure):
    _fields_ = (("kind", ctypes.c_int), ("name", ctypes.c_char_p), ("flags", ctypes.c_int))


class _RealRange(ctypes.Structure):
    _fields_ = (("low", ctypes.c_double), ("high", ctypes.c_double))


class _IntegerRange(ctypes.Structure):
    _fields_ = (("low", ctypes.c_int), ("high", ctypes.c_int))


class _Choice(ctypes.Structure):
    _fields_ = (("value", ctypes.c_int), ("label", ctypes.c_char_p))


class _IntegerList(ctypes.Structure):
    _fields_ = (("items", ctypes.POINTER(_Choice)), ("count", ctypes.c_uint))


@dataclass(frozen=True, slots=True)
class ArgumentRange:
    """The closed range of an argument; `choices` maps a number to its label for MA types."""

    whole: bool
    low: float
    high: float
    choices: tuple[tuple[int, str], ...] = ()


@cache
def _library() -> ctypes.CDLL:
    library = ctypes.CDLL(_ta_lib.__file__)
    library.TA_GetFuncHandle.argtypes = [ctypes.c_char_p, ctypes.POINTER(ctypes.c_void_p)]
    library.TA_GetOptInputParameterInfo.argtypes = [
        ctypes.c_void_p,
        ctypes.c_uint,
        ctypes.POINTER(ctypes.POINTER(_ArgumentInfo)),
    ]
    library.TA_GetOutputParameterInfo.argtypes = [
        ctypes.c_void_p,
        ctypes.c_uint,
        ctypes.POINTER(ctypes.POINTER(_OutputInfo)),
    ]
    return library


def _handle(function: str) -> ctypes.c_void_p:
    handle = ctypes.c_void_p()
    if _library().TA_GetFuncHandle(function.encode(), ctypes.byref(handle)):
        raise LookupError(f"TA-Lib knows no {function}")
    return handle


def argument_range(function: str, index: int) -> ArgumentRange:
    """Answer the range of a function's argument, counted from 0 in the order of the C call.

    Raises LookupError where TA-Lib knows no such function or argument.
    """
    found = ctypes.POINTER(_ArgumentInfo)()
    if _library().TA_GetOptInputParameterInfo(_handle(function), index, ctypes.byref(found)):
        raise LookupError(f"{function} has no argument {index}")
    info = found.contents
    if info.kind == _REAL_RANGE:
        real = ctypes.cast(info.data, ctypes.POINTER(_RealRange)).contents
        return ArgumentRange(whole=False, low=real.low, high=real.high)
    if info.kind == _INTEGER_RANGE:
        whole = ctypes.cast(info.data, ctypes.POINTER(_IntegerRange)).contents
        return ArgumentRange(whole=True, low=whole.low, high=whole.high)
    if info.kind == _INTEGER_LIST:
        listed = ctypes.cast(info.data, ctypes.POINTER(_IntegerList)).contents
        choices = tuple(
            (listed.items[i].value, listed.items[i].label.decode()) for i in range(listed.count)
        )
        values = [value for value, _ in choices]
        return ArgumentRange(whole=True, low=min(values), high=max(values), choices=choices)
    raise LookupError(f"{function} has an argument of the unknown kind {info.kind}")


def output_is_whole(function: str, index: int) -> bool:
    """Say whether an output, counted from 0, holds whole numbers (patterns, trend modes)."""
    found = ctypes.POINTER(_OutputInfo)()
    if _library().TA_GetOutputParameterInfo(_handle(function), index, ctypes.byref(found)):
        raise LookupError(f"{function} has no output {index}")
    return bool(found.contents.kind == _INTEGER_OUTPUT)
