"""What the package imports is what it says it needs."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = {  # of modules that have another name, or come with another package
    "Box2D": "gymnasium",
    "PIL": "pillow",
    "absl": "absl-py",
    "ale_py": "ale-py",
    "gin": "gin-config",
    "mlflow": "mlflow-skinny",
    "pygame": "gymnasium",
}


def imported(path: Path) -> set[str]:
    """The top-level modules that a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.split(".")[0])
    return found


def names(entries: list[str]) -> set[str]:
    return {re.match(r"[\w-]+", entry)[0] for entry in entries}


def test_every_import_is_a_declared_dependency_and_every_dependency_is_imported():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = names(project["dependencies"])
    extras = project["optional-dependencies"]
    optional = set().union(*(names(extras[name]) for name in ("mlflow", "optuna", "ray", "wandb")))
    modules = set().union(*map(imported, (ROOT / "dopamine_lite").rglob("*.py")))
    others = modules - set(sys.stdlib_module_names) - {"dopamine_lite", "_typeshed"}
    needed = {PACKAGES.get(module, module) for module in others}
    assert needed <= declared | optional
    # What imageio and pandas import themselves; it is named nowhere in the code.
    assert declared - needed == {"imageio-ffmpeg", "tabulate"}
    assert needed & optional == {"mlflow-skinny", "wandb"}  # the others by importlib
