"""Checks of settings that are flags, numbers or words, with a sentence for each wrong value.

Each function takes the configurable's name and its settings, and raises UserError for the first wrong
setting. True, False and infinity do not count as numbers. With `optional`, a number may also be None.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from dopamine_lite.common.errors import UserError


def check_flag(owner: str, **flags: object) -> None:
    """Checks for True or False, not for values that Python treats as such."""
    for name, value in flags.items():
        if not isinstance(value, bool):
            raise UserError(f"{owner}.{name} is {value!r}: give True or False.")


def check_whole(
    owner: str,
    least: int = 1,
    most: float = math.inf,
    optional: bool = False,
    **numbers: object,
) -> None:
    """Checks for whole numbers from `least` to `most`."""
    for name, value in _given(numbers, optional):
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            bounds = f"{least} or more" if most == math.inf else f"from {least} to {most:,}"
            raise UserError(f"{owner}.{name} is {value!r}: give a whole number, {bounds}.")


def check_fraction(owner: str, **numbers: object) -> None:
    """Checks for numbers from 0 to 1."""
    for name, value in numbers.items():
        number = _finite(value)
        if number is None or not 0 <= number <= 1:
            raise UserError(f"{owner}.{name} is {value!r}: give a number from 0 to 1.")


def check_not_negative(owner: str, **numbers: object) -> None:
    """Checks for numbers of 0 or more."""
    for name, value in numbers.items():
        number = _finite(value)
        if number is None or number < 0:
            raise UserError(f"{owner}.{name} is {value!r}: give a number, 0 or more.")


def check_positive(owner: str, optional: bool = False, **numbers: object) -> None:
    """Checks for numbers above 0."""
    for name, value in _given(numbers, optional):
        number = _finite(value)
        if number is None or number <= 0:
            raise UserError(f"{owner}.{name} is {value!r}: give a number above 0.")


def check_number(owner: str, **numbers: object) -> None:
    """Checks for numbers of any sign."""
    for name, value in numbers.items():
        if _finite(value) is None:
            raise UserError(f"{owner}.{name} is {value!r}: give a number.")


def check_choice(owner: str, choices: Sequence[str], **texts: object) -> None:
    """Checks for one of a few words."""
    for name, value in texts.items():
        if value not in choices:
            named = " or ".join(f'"{choice}"' for choice in choices)
            raise UserError(f"{owner}.{name} is {value!r}: give {named}.")


def _given(numbers: dict[str, object], optional: bool) -> list[tuple[str, object]]:
    return [pair for pair in numbers.items() if not (optional and pair[1] is None)]


def _finite(value: object) -> float | None:
    """`value` as a finite float; None if it is not one."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:  # a whole number with hundreds of digits
        return None
    return number if math.isfinite(number) else None
