"""`python -m tests.faults.chaos`: faults by chance on a whole platform, replayed by seed."""

import argparse
import secrets
import shlex
import sys
import time
from collections import Counter
from pathlib import Path

from tests.faults.schedule import Report, Run
from tests.faults.world import open_world

_SHOWN = 20


def main() -> int:
    """Play the seeds; 1 where a law was broken."""
    parser = argparse.ArgumentParser(prog="chaos", description=__doc__)
    parser.add_argument("--seed", type=int, nargs="+", default=[secrets.randbelow(10**6)])
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--minutes", type=float, default=30.0)
    length.add_argument("--faults", type=int, help="so many, instead of minutes")
    parser.add_argument("--times", choices=("real", "short"), default="real")
    parser.add_argument("--rate", type=float, default=8.0, help="asked for a second, about")
    parser.add_argument("--only", default="", help="rows whose name begins so")
    parser.add_argument("--logs", type=Path, help="a folder to keep the processes' logs in")
    options = parser.parse_args()
    with open_world(times=options.times, logs=options.logs) as world:
        for seed in options.seed:
            length = f"FAULTS={options.faults}" if options.faults else f"MINUTES={options.minutes}"
            only = f" ONLY={shlex.quote(options.only)}" if options.only else ""
            replay = f"make chaos SEED={seed} {length} TIMES={options.times}{only}"
            print(f"seed {seed}, to be replayed by: {replay}", flush=True)
            began = time.monotonic()
            report = Run(world, seed, per_s=options.rate, only=options.only).play(
                faults=options.faults,
                seconds=None if options.faults else options.minutes * 60,
            )
            print_table(report, time.monotonic() - began)
            if report.ledger.breaches:
                print(f"BROKEN by seed {seed}; replay it by: {replay}")
                print(*list(dict.fromkeys(report.ledger.breaches))[:_SHOWN], sep="\n")
                return 1
    return 0


def print_table(report: Report, seconds: float) -> None:
    ledger = report.ledger
    counted = Counter(breach.partition(":")[0] for breach in set(ledger.breaches))
    answers = ", ".join(f"{name}: {n}" for name, n in sorted(ledger.answers.items()))
    for name, value in (
        ("faults", f"{report.faults} in {seconds:.0f} s"),
        ("jobs acknowledged", f"{len(ledger.owed):,}"),
        ("lost or stuck", counted["lost"] + counted["stuck"]),
        ("doubled", counted["doubled"]),
        ("slowest rescue", f"{report.rescue_s:.1f} s"),
        ("slowest flush made good", f"{report.flush_s:.2f} s"),
        ("neighbour's longest wait", f"{report.neighbour_s:.2f} s"),
        ("longest until all settled", f"{report.settled_s:.1f} s"),
        ("answers", answers),
    ):
        print(f"{name:28}{value}")


if __name__ == "__main__":
    sys.exit(main())
