"""Numbers that are bound in gin files: a sentence for each that cannot be.

Each takes the configurable's name and its numbers, and raises UserError for the first that is wrong.
With `optional` a number may also be None.
"""

from __future__ import annotations

from dopamine_lite.common.errors import UserError


def check_whole(owner: str, least: int = 1, optional: bool = False, **numbers: object) -> None:
    """Whole numbers of at least `least`."""
    for name, value in _given(numbers, optional):
        if not isinstance(value, int) or value < least:
            raise UserError(f"{owner}.{name} is {value!r}: give a whole number, {least} or more.")


def check_fraction(owner: str, **numbers: object) -> None:
    """Numbers from 0 to 1."""
    for name, value in numbers.items():
        if not isinstance(value, int | float) or not 0 <= value <= 1:
            raise UserError(f"{owner}.{name} is {value!r}: give a number from 0 to 1.")


def check_not_negative(owner: str, **numbers: object) -> None:
    """Numbers of 0 or more."""
    for name, value in numbers.items():
        if not isinstance(value, int | float) or not value >= 0:
            raise UserError(f"{owner}.{name} is {value!r}: give a number, 0 or more.")


def check_positive(owner: str, optional: bool = False, **numbers: object) -> None:
    """Numbers above 0."""
    for name, value in _given(numbers, optional):
        if not isinstance(value, int | float) or not value > 0:
            raise UserError(f"{owner}.{name} is {value!r}: give a number above 0.")


def _given(numbers: dict[str, object], optional: bool) -> list[tuple[str, object]]:
    return [pair for pair in numbers.items() if not (optional and pair[1] is None)]
