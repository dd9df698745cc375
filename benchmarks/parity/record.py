"""Record what the peers answer, for tests that run without them.

Run in the peers' environment: `python benchmarks/parity/record.py tests/parity/recordings`.
The bytes depend on nothing but the locked versions.
"""

import hashlib
import json
import sys
from pathlib import Path

import numpy as np
import peer_backtesting
import peer_vectorbt
from cases import CASES, DATA_SETS, market

ENGINES = {
    "backtesting.py": ("backtesting_py.json", peer_backtesting.run),
    "vectorbt": ("vectorbt.json", peer_vectorbt.run),
}
SAMPLES = 60


def _short(values: np.ndarray) -> list[float]:
    return [float(f"{value:.12g}") for value in values]


def _recorded(case_name: str, data_set: str, answer: dict) -> dict:
    equity = answer["equity"]
    sampled = np.unique(np.linspace(0, len(equity) - 1, SAMPLES).astype(int))
    trades = answer["trades"]
    return {
        "case": case_name,
        "data": data_set,
        "entry_bar": [int(bar) for bar in trades[:, 0]],
        "exit_bar": [int(bar) for bar in trades[:, 1]],
        "size": _short(trades[:, 2]),
        "entry_price": _short(trades[:, 3]),
        "exit_price": _short(trades[:, 4]),
        "equity_bar": sampled.tolist(),
        "equity": _short(equity[sampled]),
        "equity_sha256": hashlib.sha256(json.dumps(_short(equity)).encode()).hexdigest(),
    }


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    markets = {name: market(name) for name in DATA_SETS}
    for engine, (file_name, run) in ENGINES.items():
        lines = []
        for data_set, bars in markets.items():
            for case in CASES:
                recorded = _recorded(case.name, data_set, run(case, data_set, bars))
                lines.append(json.dumps(recorded, separators=(",", ":"), sort_keys=True))
                print(f"{engine}: {data_set}, {case.name}: {len(recorded['size'])} trades")
        (folder / file_name).write_text("[\n" + ",\n".join(lines) + "\n]\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
