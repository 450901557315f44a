"""The best action, and one of the best at random where several are.

NumPy's argmax takes the first of them, so that an agent that has learned nothing would never show
another action than the first.
"""

from __future__ import annotations

import numpy as np


def greedy(values: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """argmax over actions of values [N, A]; one of the best at random where several are."""
    best = values == values.max(axis=1, keepdims=True)
    if np.count_nonzero(best) > len(values):
        return (best * generator.random(best.shape)).argmax(axis=1)
    return best.argmax(axis=1)
