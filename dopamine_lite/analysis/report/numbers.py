"""Numbers and words as the page has them."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np


def numbers(values: Iterable[Any], digits: int = 5) -> list[float | None]:
    """`values` to so many digits, as JSON has them: None for what is no number."""
    return [
        float(f"{value:.{digits}g}") if math.isfinite(value) else None
        for value in np.asarray(list(values), float)
    ]


def count(number: int, noun: str) -> str:
    """ "1 seed", "2,000 seeds"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
