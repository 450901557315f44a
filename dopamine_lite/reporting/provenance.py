"""A run's provenance: versions, sources, machine, threads, command; and changes between starts."""

from __future__ import annotations

import datetime
import hashlib
import importlib.metadata
import json
import os
import platform
import shlex
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import psutil

import dopamine_lite
from dopamine_lite import configuration
from dopamine_lite.checkpointing.storage import replace_file
from dopamine_lite.common.errors import UserError
from dopamine_lite.common.machine import processor
from dopamine_lite.common.variables import VARIABLES, variables_in_force
from dopamine_lite.files import strict_json
from dopamine_lite.files.strict_json import expect

FILE = "provenance.json"
_SCHEMA = 1
_PACKAGES = {  # packages, and the distributions that they may come from
    "tensorflow": ("tensorflow", "tensorflow-cpu"),
    "keras": ("keras",),
    "numpy": ("numpy",),
    "gymnasium": ("gymnasium",),
    "ale-py": ("ale-py",),
    "box2d": ("box2d", "box2d-py"),
    "gin-config": ("gin-config",),
    "tensorboard": ("tensorboard",),
}
_DECISIVE = (  # what bit-for-bit repetition hangs on, by its place in what `collect` returns
    *(("machine", name) for name in ("processor", "gpus", "device")),
    *(("threads", pool) for pool in ("intra_op", "inter_op", "openblas")),
    ("versions", "python"),
    *(("versions", name) for name in _PACKAGES if name not in ("gin-config", "tensorboard")),
    ("commits", "dopamine_lite"),
    *(("variables", name) for name in VARIABLES if name != "OPENBLAS_NUM_THREADS"),  # see threads
)
_SECTIONS = ("commits", "machine", "modules", "threads", "variables", "versions")  # of a start


def collect(
    threads: Mapping[str, int], gpus: Sequence[str] = (), base_dir: str | Path | None = None
) -> dict[str, Any]:
    """The record of one start of a run: its time, command and conditions. It names no host or user.

    Args:
      threads: TensorFlow's "intra_op" and "inter_op".
      gpus: the names of the GPUs that TensorFlow uses.
      base_dir: the run's directory. Git is not called for a repository in it, because its configuration
        may name programs that git executes.
    """
    memory = psutil.virtual_memory().total
    return {
        "time": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "command": command(),
        "config": {
            "gin_files": list(configuration.sources().gin_files),
            "gin_bindings": list(configuration.sources().gin_bindings),
        },
        "commits": _commits(base_dir),
        "imported": _imported(),
        "modules": _modules(),
        "versions": versions(),
        "machine": {
            "platform": platform.platform(),
            "processor": processor(),
            "cores": os.cpu_count(),
            "memory_gb": round(memory / 1e9, 1),
            "gpus": list(gpus) or None,
        },
        "threads": dict(threads) | {"openblas": _openblas_threads()},
        "variables": variables_in_force(),
    }


def versions() -> dict[str, str | None]:
    """The versions of Python and of the packages that affect a run's numbers; None: not installed."""
    own = {"python": platform.python_version(), "dopamine_lite": dopamine_lite.__version__}
    return own | {name: _version(distributions) for name, distributions in _PACKAGES.items()}


def record_start(base_dir: Path, start: dict[str, Any], about: Mapping[str, Any]) -> list[str]:
    """Writes a run's provenance.json, or adds a resume to it; the file is replaced as a whole.

    Args:
      base_dir: the run's directory.
      start: the result of `collect`.
      about: the run itself (seed, agent, protocol ...) as JSON; kept from the first start.

    Returns:
      `changes` since the last start.

    Raises:
      UserError: as `read`.
    """
    known = read(base_dir)
    if known is None:
        known, sentences = {"schema": _SCHEMA, **about, "started": start, "resumed": []}, []
    else:
        sentences = changes([known["started"], *known["resumed"]][-1], start)
        known["resumed"].append(start)
    replace_file(Path(base_dir) / FILE, json.dumps(known, indent=2).encode() + b"\n")
    return sentences


def read(base_dir: Path) -> dict[str, Any] | None:
    """A run's provenance; None if there is none.

    Raises:
      UserError: the file is damaged or of another version of dopamine_lite.
    """
    path = Path(base_dir) / FILE
    try:
        known = strict_json.read(path)
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise UserError(
            f"{path} is damaged: it is not JSON ({error}). Restore it, or move it away to go on "
            "without the record of how this run began."
        ) from error
    schema = known.get("schema") if isinstance(known, dict) else None
    if schema != _SCHEMA:
        raise UserError(
            f"{path} has schema {schema}, but this dopamine_lite reads schema {_SCHEMA}: "
            "use the version that the run was begun with."
        )
    try:
        for start in (known["started"], *expect(list, known["resumed"])):
            for section in expect(dict, start).keys() & _SECTIONS:
                expect(dict, start[section])
        expect(dict, known.get("agent", {}))
    except (KeyError, ValueError) as error:
        problem = f"it lacks {error}" if isinstance(error, KeyError) else error
        raise UserError(
            f"{path} is damaged ({problem}): restore it, or move it away to go on without the record "
            "of how this run began."
        ) from error
    return dict(known)


BETWEEN_STARTS = (
    "{subject} was {before} when the run last started and is {now} now: from this point on, the "
    "run may not repeat bit for bit."
)


def changes(
    before: Mapping[str, Any], now: Mapping[str, Any], sentence: str = BETWEEN_STARTS
) -> list[str]:
    """Sentences on the differences between two starts that can end bit-for-bit repetition."""
    sentences = []
    for section, name in [*_DECISIVE, *_of_imports(before, now), *_of_own_modules(before, now)]:
        old, new = (start.get(section, {}).get(name) for start in (before, now))
        if old != new and (name != "device" or old):  # earlier versions did not record it
            subject = _IN_WORDS.get(f"{section}.{name}", _IN_WORDS[section]).format(name)
            sentences.append(sentence.format(subject=subject, before=_shown(old), now=_shown(new)))
    return sentences


def _of_imports(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The conditions in modules that both starts import from elsewhere, apart from own modules."""
    starts = (before, now)
    own = {name for start in starts for name in start.get("modules", {})}
    both = before.get("imported", {}).keys() & now.get("imported", {}).keys()
    return [("imported", name) for name in sorted(both - own)]


def _of_own_modules(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The conditions in runs with modules of their own: these modules, and their commit."""
    starts = (before, now)
    names = sorted({name for start in starts for name in start.get("modules", {})})
    decisive = [("modules", name) for name in names]
    if names and all(start.get("commits", {}).get("working_directory") for start in starts):
        decisive.append(("commits", "working_directory"))
    return decisive


_IN_WORDS = {
    "machine": "The {}",
    "machine.gpus": "The list of GPUs",
    "threads": "The number of {} threads",
    "versions": "The version of {}",
    "commits": "The source of {}",
    "commits.working_directory": "The commit of the working directory",
    "imported": "The source of the imported {}",
    "modules": "The source of the module {}",
    "variables": "The environment variable {}",
}


def _shown(value: object) -> str:
    return "unknown or not set" if value is None else str(value) or "empty"


def command() -> str:
    """The command line as it was typed, except for the path of the program."""
    program = Path(sys.argv[0])
    module = ["python", "-m", program.parent.name]
    words = module if program.name == "__main__.py" else [program.name]
    return shlex.join(words + sys.argv[1:])


def _commits(base_dir: str | Path | None) -> dict[str, str | None]:
    """Commits of dopamine_lite's source and of the working directory, if they are git checkouts.

    The commit of a repository in `base_dir` stays unknown.
    """
    here, source = Path.cwd(), Path(__file__).parent
    # A package installed below somebody's checkout does not belong to it: none of its files is tracked.
    own = _git(source, "rev-parse", "--show-toplevel") if _git(source, "ls-files", ".") else None
    commits = {"dopamine_lite": _commit(source) if own else None}
    if own is None or _git(here, "rev-parse", "--show-toplevel") != own:
        repository = _git(here, "rev-parse", "--absolute-git-dir")
        strange = base_dir and repository and _lies_in(Path(repository), Path(base_dir))
        commits["working_directory"] = None if strange else _commit(here)
    return commits


def _lies_in(path: Path, directory: Path) -> bool:
    return path.resolve().is_relative_to(directory.resolve())


def _commit(directory: Path) -> str | None:
    """The commit of `directory`, followed by "+changes." and a digest if tracked files differ."""
    commit = _git(directory, "rev-parse", "HEAD")
    if commit is None:
        return None
    changes = _git_bytes(directory, *_DIFFERENCES)
    if changes == b"":
        return commit
    return f"{commit}+changes.{'unknown' if changes is None else _digest(changes)}"


_DIFFERENCES = (  # of the whole checkout, whatever the user's configuration is
    *("-c", "core.fsmonitor=false", "-c", "diff.relative=false", "diff", "HEAD"),
    *("--full-index", "--no-ext-diff", "--no-textconv"),  # a binary file's digest
)


def _git(directory: Path, *arguments: str) -> str | None:
    """git's output as text; None as in `_git_bytes`."""
    printed = _git_bytes(directory, *arguments)
    return None if printed is None else os.fsdecode(printed).strip()


def _git_bytes(directory: Path, *arguments: str) -> bytes | None:
    """git's output; None if there is no git, no checkout or no answer."""
    command = ["git", "--no-optional-locks", "-C", str(directory), *arguments]
    try:
        return subprocess.run(
            command, check=True, stdin=subprocess.DEVNULL, capture_output=True, timeout=10
        ).stdout
    except (OSError, ValueError, subprocess.SubprocessError):
        return None


def origin(name: str, file: Path | None) -> str | None:
    """An identifier of a module's source: its digest, or the version of Python or of its package.

    Args:
      name: the module's name, with dots.
      file: the module's file; None if there is none.
    """
    if file is not None and _is_installed(file):
        return _distribution(name.partition(".")[0])
    if file is None or str(file).startswith(_STANDARD_LIBRARY):
        return f"Python {platform.python_version()}"
    return _file_digest(file)


def last_origin(base_dir: Path, name: str) -> str | None:
    """The `origin` of a module that a run imported when it last started; None: not known."""
    known = read(base_dir)
    if known is None:
        return None
    found = [known["started"], *known["resumed"]][-1].get("imported", {}).get(name)
    return None if found is None else str(found)


def _distribution(package: str) -> str | None:
    """The distribution of an installed top-level module, and its version."""
    if version := _version((package,)):
        return f"{package} {version}"
    names = importlib.metadata.packages_distributions().get(package, ())  # it takes half a second
    return next((f"{name} {importlib.metadata.version(name)}" for name in names), None)


def _imported() -> dict[str, str | None]:
    """The origin of each module that the configuration imports from outside this package."""
    package = dopamine_lite.__name__
    origins = {}
    for name in configuration.imported_modules():
        if name.partition(".")[0] != package:
            file = getattr(sys.modules.get(name), "__file__", None)
            origins[name] = origin(name, Path(file) if file else None)
    return origins


def _modules() -> dict[str, str | None]:
    """Digests of the run's own modules by name; None: the file no longer exists.

    A run's own modules are those that gin files import and that no version or commit covers, and the
    modules loaded from the same places.
    """
    imported = _own_files(configuration.imported_modules())
    places = {_place(name, file) for name, file in imported.items()}
    if not places:
        return {}
    # Names such as __main__ belong to this start, or to code that each start generates.
    names = sorted(name for name in list(sys.modules) if not name.startswith("__"))
    own = _own_files(names).items()
    return {name: _file_digest(file) for name, file in own if _place(name, file) in places}


def _own_files(names: Iterable[str]) -> dict[str, Path]:
    """The files of the loaded modules among `names` that no version and no commit covers.

    These modules are not Python's, not in an installed package, and not in dopamine_lite's commit.
    """
    package = Path(__file__).parents[1]
    tracked = {package / name for name in (_git(package, "ls-files") or "").splitlines()}
    files = {}
    for name in names:
        module = sys.modules.get(name)
        known = vars(module).get("__file__") if isinstance(module, ModuleType) else None
        if not known or known.startswith(_STANDARD_LIBRARY):
            continue
        file = Path(known).absolute()
        elsewhere = not file.is_relative_to(package)
        untracked = bool(tracked) and file not in tracked
        if (elsewhere or untracked) and not _is_installed(file):
            files[name] = file
    return files


_STANDARD_LIBRARY = sysconfig.get_path("stdlib") + os.sep
_INSTALLED = {"site-packages", "dist-packages"}


def _is_installed(file: Path) -> bool:
    return not _INSTALLED.isdisjoint(file.parts)


def _place(name: str, file: Path) -> Path:
    """The directory in which the module `name` was found."""
    depth = name.count(".") + (file.stem == "__init__")
    return file.parents[min(depth, len(file.parents) - 1)]


def _file_digest(file: Path) -> str | None:
    try:
        return _digest(file.read_bytes())
    except OSError:
        return None


def _digest(content: bytes) -> str:
    """The first digits of a SHA-256."""
    return hashlib.sha256(content).hexdigest()[:8]


def _version(distributions: tuple[str, ...]) -> str | None:
    for name in distributions:
        try:
            return importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return None


def _openblas_threads() -> int:
    """The number of threads of NumPy's OpenBLAS: as configured, or one per core."""
    told = os.environ.get("OPENBLAS_NUM_THREADS") or os.environ.get("OMP_NUM_THREADS") or ""
    return int(told) if told.isdecimal() else os.cpu_count() or 1
