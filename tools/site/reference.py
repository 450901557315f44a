"""Writes the generated pages of the reference; it runs in a Python that has the package's dependencies.

python tools/site/reference.py

Nothing is done if neither the package nor its configs and results have changed since the last time.
"""

from __future__ import annotations

import hashlib
import importlib
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]

from reference_pages import COMMANDS, CONFIGS, GENERATED

PAGES = ROOT / "docs" / "reference"
_DIGEST = ROOT / "build" / "reference.sha256"
_INPUTS = ("dopamine_lite/**/*.py", "configs/**/*.gin", "baselines/*.csv", "baselines/*.py")


def main() -> None:
    digest = _digest()
    there = all((PAGES / name).is_file() for name in GENERATED)
    if there and _DIGEST.is_file() and _DIGEST.read_text() == digest:
        return
    for name, text in texts().items():
        path = PAGES / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    _DIGEST.parent.mkdir(exist_ok=True)
    _DIGEST.write_text(digest)


def texts() -> dict[str, str]:
    """Every generated page, by its name below docs/reference."""
    # TensorFlow is imported here, by what imports it quietly.
    from dopamine_lite.configuration.tensorflow_setup import import_quietly

    import_quietly("dopamine_lite.runner.runner")
    commands, configs, settings = map(
        importlib.import_module, ("commands_page", "configs_page", "settings_pages")
    )
    found = configs.configs()
    return {
        COMMANDS: commands.page(),
        CONFIGS: configs.page(found, settings.links_from("settings/")),
        **settings.pages(found),
    }


def _digest() -> str:
    digest = hashlib.sha256()
    paths = [path for pattern in (*_INPUTS, "tools/site/*.py") for path in ROOT.glob(pattern)]
    for path in sorted(paths):
        digest.update(path.relative_to(ROOT).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


if __name__ == "__main__":
    main()
