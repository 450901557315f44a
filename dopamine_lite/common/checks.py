"""Numbers that are bound in gin files: a sentence for each that cannot be."""

from __future__ import annotations

from dopamine_lite.common.errors import UserError


def check_whole(owner: str, least: int = 1, **numbers: object) -> None:
    """Raises UserError for the first of the `owner`'s numbers that is not whole, or below `least`."""
    for name, value in numbers.items():
        if not isinstance(value, int) or value < least:
            raise UserError(f"{owner}.{name} is {value!r}: give a whole number, {least} or more.")


def check_fraction(owner: str, **numbers: object) -> None:
    """Raises UserError for the first of the `owner`'s numbers that is not from 0 to 1."""
    for name, value in numbers.items():
        if not isinstance(value, int | float) or not 0 <= value <= 1:
            raise UserError(f"{owner}.{name} is {value!r}: give a number from 0 to 1.")


def check_not_negative(owner: str, **numbers: object) -> None:
    """Raises UserError for the first of the `owner`'s numbers that is below 0, or no number."""
    for name, value in numbers.items():
        if not isinstance(value, int | float) or not value >= 0:
            raise UserError(f"{owner}.{name} is {value!r}: give a number, 0 or more.")
