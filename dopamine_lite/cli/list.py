"""`dopamine-lite list`: what there is to choose from, read from the source without running it."""

from __future__ import annotations

import ast
import importlib
from collections.abc import Iterator
from pathlib import Path

from absl import flags

from dopamine_lite.cli.tables import print_table

SUMMARY = "Shows the agents, environments and configs that come with the package."


def define_flags(flag_values: flags.FlagValues) -> None:
    flags.DEFINE_boolean(
        "games", False, "list the names of the Atari games only", flag_values=flag_values
    )


def run(flag_values: flags.FlagValues) -> None:
    if flag_values.games:
        print("\n".join(_atari_games()))
        return
    from dopamine_lite import configuration

    package = Path(__file__).resolve().parent.parent
    print_table("Agents (Runner.agent = @...)", list(_agents(package)))
    print_table("Environments (Runner.environment = @...)", list(_environments(package)))
    print_table("Wrappers (wrapped_environment.wrappers = [@...])", list(_wrappers(package)))
    configs = configuration.packaged_configs()
    print_table(
        "Configs (--gin_files=...)",
        [
            (path.relative_to(configs).as_posix(), _first_comment(path))
            for path in configuration.all_configs()
        ],
    )


def _agents(package: Path) -> Iterator[tuple[str, str, str]]:
    """What `Runner.agent` can be: name, module to import, first line of its docstring."""
    for module, node in _configurables(package / "agents"):
        if isinstance(node, ast.ClassDef) and any(
            ast.unparse(base).endswith("Agent") for base in node.bases
        ):
            yield node.name, module, _summary(node)


def _environments(package: Path) -> Iterator[tuple[str, str, str]]:
    """What `Runner.environment` can be, likewise."""
    for module, node in _configurables(package / "environments"):
        if not _is_wrapper(node):
            yield node.name, module, _summary(node)


def _wrappers(package: Path) -> Iterator[tuple[str, str, str]]:
    """What `wrapped_environment.wrappers` can hold, likewise."""
    for module, node in _configurables(package / "environments"):
        if _is_wrapper(node):
            yield node.name, module, _summary(node)


def _is_wrapper(node: ast.ClassDef | ast.FunctionDef) -> bool:
    return isinstance(node, ast.ClassDef) and any(
        ast.unparse(base) == "EnvironmentWrapper" for base in node.bases
    )


def _configurables(directory: Path) -> Iterator[tuple[str, ast.ClassDef | ast.FunctionDef]]:
    """The classes and functions in a package's `directory` that gin can refer to."""
    for path in sorted(directory.glob("*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef | ast.FunctionDef) and any(
                ast.unparse(decorator).startswith("gin.configurable")
                for decorator in node.decorator_list
            ):
                yield f"dopamine_lite.{directory.name}.{path.stem}", node


def _summary(node: ast.ClassDef | ast.FunctionDef) -> str:
    return (ast.get_docstring(node) or "").partition("\n")[0]


def _first_comment(path: Path) -> str:
    with path.open(encoding="utf-8") as lines:
        return next((line.lstrip("# ").strip() for line in lines if line.startswith("#")), "")


def _atari_games() -> list[str]:
    atari_environment = importlib.import_module("dopamine_lite.environments.atari_environment")
    return sorted(atari_environment.games())
