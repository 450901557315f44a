"""Paths as people write them."""

from __future__ import annotations

from pathlib import Path

from dopamine_lite.common.errors import UserError


def user_path(name: str) -> Path:
    """The path that `name` means, with "~" or "~user" replaced by a home directory.

    Raises:
      UserError: there is no such home directory, or `name` cannot be a path.
    """
    if "\0" in name:
        raise UserError(f"{name!r} is not a path: leave out the null character in it.")
    try:
        return Path(name).expanduser()
    except RuntimeError as error:
        home = Path(name).parts[0]
        raise UserError(
            f"The home directory {home} in {name} is unknown: write out the path, or put ./ before a "
            "name that begins with ~."
        ) from error
