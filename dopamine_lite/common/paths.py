"""Paths as people write them."""

from __future__ import annotations

from pathlib import Path

from dopamine_lite.common.errors import UserError


def user_path(name: str) -> Path:
    """The path that `name` means, a home directory in the place of "~" or "~user".

    Raises:
      UserError: there is no such home, or this can be no path.
    """
    if "\0" in name:
        raise UserError(f"{name!r} is no path: it holds a character with the number 0.")
    try:
        return Path(name).expanduser()
    except RuntimeError as error:
        home = Path(name).parts[0]
        raise UserError(
            f"The home directory {home} in {name} is unknown: write it out, or put ./ before a name "
            "that begins with ~."
        ) from error
