"""Which modules a configuration may import, and from where: the code that is executed."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable, Collection
from dataclasses import dataclass
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType

from dopamine_lite.common.errors import UserError

_PACKAGE = __name__.partition(".")[0]


def _say_nothing(name: str, file: Path | None) -> None:
    pass


@dataclass(frozen=True)
class ImportRule:
    """What a configuration may import besides this package's modules and modules already loaded.

    Attributes:
      allowed: the modules that the user has named, each including the modules in it; None: any module,
        because the user has chosen the files that import them.
      run_directory: the run's directory; nothing in it is ever imported.
      announce: called with a module's name and file (None: it has no file) before it is executed.
    """

    allowed: Collection[str] | None = None
    run_directory: Path | None = None
    announce: Callable[[str, Path | None], None] = _say_nothing

    def allows(self, name: str) -> bool:
        """Whether the user allows the module `name`."""
        return self.allowed is None or any(
            name == allowed or name.startswith(f"{allowed}.") for allowed in self.allowed
        )

    def holds(self, path: Path) -> bool:
        """Whether `path` is the run's directory or lies in it, links followed."""
        directory = self.run_directory
        return directory is not None and path.resolve().is_relative_to(directory.resolve())


# Like gin's own tables, these describe the loaded configuration.
_rule = ImportRule()
_imported: dict[str, bool] = {}  # by name: whether it needs the user's permission


def begin(rule: ImportRule) -> None:
    """Puts `rule` in force for a new configuration that has imported nothing yet."""
    global _rule
    _rule = rule
    _imported.clear()


def in_force() -> tuple[ImportRule, dict[str, bool]]:
    """The rule and the modules imported under it, for `put_in_force`."""
    return _rule, dict(_imported)


def put_in_force(rule: ImportRule, imported: dict[str, bool]) -> None:
    """Restores the values that `in_force` returned."""
    begin(rule)
    _imported.update(imported)


def imported() -> set[str]:
    """The modules that the configuration has imported."""
    return set(_imported)


def asked_imports() -> list[str]:
    """The modules that a user who opens the run has to allow, because they are not this package's."""
    return sorted(name for name in _imported if _imported[name])


def import_module(name: str, importer: str) -> ModuleType:
    """`importlib.import_module` for a configuration. Raises the errors of `admit`, and ImportError."""
    admit(name, importer)
    return importlib.import_module(name)


def admit(name: str, importer: str) -> None:
    """Allows the module `name` to be imported, from the current directory if it is nowhere else.

    Args:
      name: the name with dots, as it is written after `import`.
      importer: the source of the import, for messages, such as "own.gin, line 3,".

    Raises:
      UserError: the rule in force forbids the import, or `name` cannot be a module's name.
    """
    if not all(part.isidentifier() for part in name.split(".")):
        raise UserError(f"{importer} imports {name!r}, which cannot be a module's name.")
    if name.partition(".")[0] == _PACKAGE or name in sys.modules:  # no foreign code is executed
        _imported.setdefault(name, False)
        return
    here = _current_directory()
    elsewhere = _specs(name)
    specs = elsewhere or (_specs(name, here) if here else [])
    file = _file(specs[-1]) if specs else None
    for path in filter(None, map(_file, specs)):
        if _rule.holds(path):
            raise UserError(
                f"{importer} imports {name}, which is {path} in the run's own directory: no code "
                "there is executed, because a run may come from anyone. Copy the code that you "
                "trust into the directory that you work in."
            )
    if not _rule.allows(name) or not (specs or here):
        raise UserError(_refusal(name, importer, file, bool(specs), bool(here)))
    if not specs:
        return  # Python's own error says that there is no such module
    if not elsewhere:
        sys.path.append(str(here))  # permanently: the module may import its neighbors later
    _rule.announce(name, file)
    _imported[name] = True


def _refusal(name: str, importer: str, file: Path | None, found: bool, here: bool) -> str:
    word = "" if _rule.allows(name) else f" and allow the module with `imports` {name}"
    if found:
        return (
            f"{importer} imports {name}, which executes {file or 'code that is not in a file'}: if "
            f"you trust it, allow it with `imports` {name} (a run may come from anyone, so its config "
            "alone is not enough)."
        )
    if here:
        return (
            f"{importer} imports {name}, which is neither installed nor in the current directory: "
            f"change to the directory that contains it{word}."
        )
    return (
        f"{importer} imports {name}, which is not installed, and nothing is executed from the "
        "current directory, because it belongs to a run: change to the directory that contains "
        f"{name}{word}."
    )


def _current_directory() -> Path | None:
    """The last place to look for modules; None: none, because the run lies there or it is gone."""
    try:
        here = Path.cwd()
    except FileNotFoundError:
        return None
    return None if _rule.holds(here) else here


def _specs(name: str, directory: Path | None = None) -> list[ModuleSpec]:
    """What Python would load for the module `name`: each package around it, then the module itself.

    This executes nothing, so the list ends early if a package determines its contents by code. It is
    empty if not even the outermost package exists.

    Args:
      directory: the only place to look; None: everywhere Python looks.
    """
    specs: list[ModuleSpec] = []
    inner = ""
    for part in name.split("."):
        outer, inner = inner, f"{inner}.{part}".lstrip(".")
        if not outer and directory is None:
            spec = _installed(inner)
        else:
            loaded = getattr(sys.modules.get(outer), "__path__", None)
            places = loaded or (specs[-1].submodule_search_locations if specs else [str(directory)])
            spec = PathFinder.find_spec(inner, places or [])
        if spec is None:
            break
        specs.append(spec)
    return specs


def _installed(name: str) -> ModuleSpec | None:
    try:
        return importlib.util.find_spec(name)
    except ValueError:  # a loaded module that does not name its source
        return None


def _file(spec: ModuleSpec) -> Path | None:
    return Path(spec.origin) if spec.has_location and spec.origin else None
