"""Counts and numbers as people read them."""

from decimal import Decimal

_MOST_DIGITS = 20


def counted(number: int, noun: str) -> str:
    """Answer a count before its noun: 1 job, 2,000 jobs."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def in_full(value: float) -> str:
    """Answer a number with all its digits and no exponent, but where zeros would drown it."""
    shortest = repr(float(value))
    exact = Decimal(shortest)
    written = f"{exact:f}" if abs(exact.adjusted()) <= _MOST_DIGITS else shortest
    return written.removesuffix(".0")
