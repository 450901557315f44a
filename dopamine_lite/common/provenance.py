"""What a run was made with: versions, sources, machine, threads, command; and what has changed."""

from __future__ import annotations

import datetime
import importlib.metadata
import json
import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil

import dopamine_lite
from dopamine_lite.common.checkpointing.storage import durable_file, sync_directory
from dopamine_lite.common.errors import UserError

FILE = "provenance.json"
_SCHEMA = 1
_PACKAGES = {  # and the distributions that each may come from
    "tensorflow": ("tensorflow", "tensorflow-cpu"),
    "keras": ("keras",),
    "numpy": ("numpy",),
    "gymnasium": ("gymnasium",),
    "ale-py": ("ale-py",),
    "box2d": ("box2d", "box2d-py"),
    "gin-config": ("gin-config",),
    "tensorboard": ("tensorboard",),
}
_VARIABLES = (  # of the environment, each of which can change numbers
    "OPENBLAS_NUM_THREADS",
    "OMP_NUM_THREADS",
    "TF_ENABLE_ONEDNN_OPTS",
    "XLA_FLAGS",
    "CUDA_VISIBLE_DEVICES",
)
_DECISIVE = (  # what bit-for-bit repetition hangs on, by its place in what `collect` returns
    ("machine", "processor"),
    *(("threads", pool) for pool in ("intra_op", "inter_op", "openblas")),
    *(("versions", name) for name in _PACKAGES if name not in ("gin-config", "tensorboard")),
    ("commits", "dopamine_lite"),
    *(("variables", name) for name in _VARIABLES if name != "OPENBLAS_NUM_THREADS"),  # see threads
)


def collect(threads: Mapping[str, int]) -> dict[str, Any]:
    """One start of a run: when, by which command, with what. Names no host and no user.

    Args:
      threads: TensorFlow's "intra_op" and "inter_op".
    """
    memory = psutil.virtual_memory().total
    return {
        "time": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "command": _command(),
        "commits": _commits(),
        "versions": versions(),
        "machine": {
            "platform": platform.platform(),
            "processor": _processor(),
            "cores": os.cpu_count(),
            "memory_gb": round(memory / 1e9, 1),
        },
        "threads": dict(threads) | {"openblas": _openblas_threads()},
        "variables": {name: os.environ[name] for name in _VARIABLES if name in os.environ},
    }


def versions() -> dict[str, str | None]:
    """Of Python and the packages whose code decides a run's numbers; None: not installed."""
    own = {"python": platform.python_version(), "dopamine_lite": dopamine_lite.__version__}
    return own | {name: _version(distributions) for name, distributions in _PACKAGES.items()}


def record_start(base_dir: Path, start: dict[str, Any], about: Mapping[str, Any]) -> list[str]:
    """Writes a run's provenance.json, or adds a resume to it; the file is replaced as a whole.

    Args:
      base_dir: the run's directory.
      start: what `collect` returned.
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
    aside = Path(base_dir) / f".{FILE}"
    with durable_file(aside) as file:
        file.write(json.dumps(known, indent=2).encode() + b"\n")
    aside.replace(aside.with_name(FILE))
    sync_directory(aside.parent)
    return sentences


def read(base_dir: Path) -> dict[str, Any] | None:
    """A run's provenance; None where there is none.

    Raises:
      UserError: the file is damaged or of another version of dopamine_lite.
    """
    path = Path(base_dir) / FILE
    try:
        known = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise UserError(
            f"{path} is damaged, it is not JSON ({error}): restore it, or move it away to go on "
            "without the record of how this run began."
        ) from error
    schema = known.get("schema") if isinstance(known, dict) else None
    if schema != _SCHEMA:
        raise UserError(
            f"{path} has schema {schema}, this dopamine_lite reads {_SCHEMA}: "
            "use the version that the run was begun with."
        )
    return dict(known)


def changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Sentences on what differs between two starts and ends bit-for-bit repetition."""
    sentences = []
    for section, name in _DECISIVE:
        old, new = (start.get(section, {}).get(name) for start in (before, now))
        if old != new:
            sentences.append(
                f"{_IN_WORDS[section].format(name)} was {_shown(old)} when the run last started "
                f"and is {_shown(new)} now: from here on the run may not repeat bit for bit."
            )
    return sentences


_IN_WORDS = {
    "machine": "The {}",
    "threads": "The number of {} threads",
    "versions": "The version of {}",
    "commits": "The source of {}",
    "variables": "The environment variable {}",
}


def _shown(value: object) -> str:
    return "unknown or not set" if value is None else str(value)


def _command() -> str:
    """The command line as it was typed, except for the way to the program."""
    program = Path(sys.argv[0])
    module = ["python", "-m", program.parent.name]
    words = module if program.name == "__main__.py" else [program.name]
    return shlex.join(words + sys.argv[1:])


def _commits() -> dict[str, str | None]:
    """Commits of dopamine_lite's source and of the working directory, where in a git checkout."""
    here, source = Path.cwd(), Path(__file__).parent
    # Installed below somebody's checkout the package is no part of it: nothing of it is tracked.
    own = _git(source, "rev-parse", "--show-toplevel") if _git(source, "ls-files", ".") else None
    commits = {"dopamine_lite": _commit(source) if own else None}
    if own is None or _git(here, "rev-parse", "--show-toplevel") != own:
        commits["working_directory"] = _commit(here)
    return commits


def _commit(directory: Path) -> str | None:
    """The commit that `directory` is at, "+changes" behind it where tracked files differ."""
    commit = _git(directory, "rev-parse", "HEAD")
    if commit is None:
        return None
    changed = _git(directory, "status", "--porcelain", "--untracked-files=no")
    return f"{commit}+changes" if changed else commit


def _git(directory: Path, *arguments: str) -> str | None:
    """What git prints; None where there is no git, no checkout or no answer."""
    command = ["git", "--no-optional-locks", "-C", str(directory), *arguments]
    try:
        return subprocess.run(
            command,
            check=True,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=10,
        ).stdout.strip()
    except (OSError, ValueError, subprocess.SubprocessError):
        return None


def _version(distributions: tuple[str, ...]) -> str | None:
    for name in distributions:
        try:
            return importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return None


def _openblas_threads() -> int:
    """The threads NumPy's OpenBLAS takes: as it is told, else one a core."""
    told = os.environ.get("OPENBLAS_NUM_THREADS") or os.environ.get("OMP_NUM_THREADS") or ""
    return int(told) if told.isdecimal() else os.cpu_count() or 1


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            name, _, value = line.partition(":")
            if name.strip() in ("model name", "Model"):
                return value.strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
