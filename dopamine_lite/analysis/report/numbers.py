"""Numbers and words as they appear on the page."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np


def numbers(values: Iterable[Any], digits: int = 5) -> list[float | None]:
    """`values` rounded to `digits` digits for JSON, with None for infinity and NaN."""
    rounded = [float(f"{value:.{digits}g}") for value in np.asarray(list(values), float)]
    return [
        (int(value) if value.is_integer() else value) if math.isfinite(value) else None
        for value in rounded
    ]


def count(number: int, noun: str) -> str:
    """ "1 seed", "2,000 seeds"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
