"""The same market and the same orders for every engine in the comparison."""

import numpy as np

CASH = 10_000.0
FAST, SLOW = 20, 50


def bars(count: int) -> dict[str, np.ndarray]:
    """Answer open, high, low, close as float64[count]: a random walk, one minute a bar."""
    noise = np.random.default_rng(7)
    close = 100.0 * np.exp(np.cumsum(noise.normal(0.0, 0.001, count)))
    start = np.concatenate(([100.0], close[:-1])) * (1.0 + noise.normal(0.0, 0.0002, count))
    return {
        "open": start,
        "high": np.maximum(start, close) * 1.0005,
        "low": np.minimum(start, close) * 0.9995,
        "close": close,
    }


def crosses(fast: np.ndarray, slow: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Answer bool[n] where fast crosses above slow, and below."""
    above, below = fast > slow, fast < slow
    up, down = np.zeros((2, len(fast)), dtype=bool)
    np.logical_and(above[1:], fast[:-1] <= slow[:-1], out=up[1:])
    np.logical_and(below[1:], fast[:-1] >= slow[:-1], out=down[1:])
    return up, down
