"""Whether this machine gives the bytes that every other worker gives."""

import platform
import sys
from pathlib import Path

from core.errors import ConfigurationError

# x86-64-v3, as Linux names its parts (psABI, table 3.1; abm holds lzcnt).
_V3 = frozenset(("abm", "avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "movbe"))


def missing_features(cpuinfo: str) -> list[str]:
    """Answer what of x86-64-v3 the first processor of a `/proc/cpuinfo` lacks, in order."""
    for line in cpuinfo.splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "flags":
            return sorted(_V3 - set(value.split()))
    return sorted(_V3)


def refuse_unfit_machine() -> None:
    """Raise ConfigurationError on an x86-64 Linux whose processor is older than x86-64-v3.

    TA-Lib's functions there differ in their last bits. Other platforms have a name of their own
    in every result's identity, and may run.
    """
    if sys.platform != "linux" or platform.machine() != "x86_64":
        return
    missing = missing_features(Path("/proc/cpuinfo").read_text(encoding="utf-8"))
    if missing:
        raise ConfigurationError(
            f"This processor lacks {', '.join(missing)}: its results would differ in their last "
            "bits from those of other workers. Run workers on x86-64-v3, as any server since 2015."
        )
