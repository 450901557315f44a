"""A binary tree of sums: draws indices in proportion to their values, in NumPy, level by level."""

from __future__ import annotations

import numpy as np


class SumTree:
    """`capacity` values that are not negative, initially zero (Schaul et al. 2016, appendix B.2.1).

    Every inner node is computed from its two children, never by adding differences. A tree therefore
    depends only on its values, not on the order in which they were set.
    """

    def __init__(self, capacity: int):
        self._size = _leaves(capacity)
        self._depth = self._size.bit_length() - 1
        # Node i has the children 2i and 2i + 1; the root is 1.
        self._nodes = np.zeros(2 * self._size)

    @property
    def total(self) -> float:
        """The sum of all values."""
        return float(self._nodes[1])

    @staticmethod
    def memory_bytes(capacity: int) -> int:
        """Size of a tree of `capacity` values."""
        return 2 * _leaves(capacity) * np.dtype(np.float64).itemsize

    def get(self, indices: np.ndarray) -> np.ndarray:
        """The values at indices [M]."""
        return self._nodes[indices + self._size]

    def set(self, indices: np.ndarray, values: np.ndarray | float) -> None:
        """Sets the values at indices [M]; if an index occurs twice, the last value counts."""
        nodes = indices + self._size
        self._nodes[nodes] = values
        for _ in range(self._depth):
            nodes = nodes >> 1
            children = 2 * nodes
            self._nodes[nodes] = self._nodes[children] + self._nodes[children + 1]

    def find(self, targets: np.ndarray) -> np.ndarray:
        """The indices [M] whose shares of the cumulative sum contain the targets [M] in [0, total).

        It never returns an index whose value is zero, unless all values are zero.
        """
        nodes = np.ones(len(targets), np.int64)
        for _ in range(self._depth):
            nodes = 2 * nodes
            left = self._nodes[nodes]
            # Only rounding could lead to an empty right half.
            right = (targets >= left) & (self._nodes[nodes + 1] > 0)
            targets = targets - np.where(right, left, 0.0)
            nodes = nodes + right
        return nodes - self._size


def _leaves(capacity: int) -> int:
    """The power of two, at least 2, that `capacity` values need."""
    return 1 << max(capacity - 1, 1).bit_length()
