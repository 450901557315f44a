"""The best action, or one of the best at random if several are equally good.

NumPy's argmax takes the first best action, so an agent that has learned nothing would always take the
first action.
"""

from __future__ import annotations

import numpy as np


def greedy(values: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """argmax over actions of values [N, A]; one of the best at random if several are equally good."""
    best = values == values.max(axis=1, keepdims=True)
    if np.count_nonzero(best) > len(values):
        return (best * generator.random(best.shape)).argmax(axis=1)
    return best.argmax(axis=1)
