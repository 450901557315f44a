"""Where gin files are: at a path, or among the configs that come with the package."""

from __future__ import annotations

from pathlib import Path

from dopamine_lite.common.errors import UserError
from dopamine_lite.configuration.names import did_you_mean
from dopamine_lite.files.paths import user_path


def packaged_configs() -> Path:
    """The directory of the configs that come with the package."""
    package = Path(__file__).resolve().parent.parent
    installed = package / "configs"
    return installed if installed.is_dir() else package.parent / "configs"


def find_config(name: str) -> Path:
    """The gin file that `name` means: a path, or a name under `packaged_configs()`.

    Raises:
      UserError: there is no such file. The message names the nearest one.
    """
    candidates = [
        user_path(name),
        packaged_configs() / name,
        packaged_configs() / f"{name}.gin",
    ]
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    names = [path.relative_to(packaged_configs()).as_posix() for path in all_configs()]
    raise UserError(
        f"There is no gin file '{name}', neither at this path nor among the packaged configs"
        f"{did_you_mean(name, names, ending='.gin')}; `list` shows them all."
    )


def all_configs() -> list[Path]:
    """Every packaged gin file, sorted."""
    return sorted(packaged_configs().rglob("*.gin"))
