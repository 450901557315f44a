"""Readable directory names for experiments and for the values of parameters."""

from __future__ import annotations

import ast
import hashlib
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from dopamine_lite import configuration
from dopamine_lite.files.paths import user_path

_LONGEST = 40  # letters of a value; a digest stands for the rest
_KEPT = 24


def experiments(groups: Sequence[Sequence[str]]) -> list[str]:
    """A name for each group of gin files that make one experiment; no two names are the same.

    A packaged file is named after its whole path in the package, such as "dqn_cartpole". Any other file
    is named after its own name. If that is not unique, its directory's name comes before it.
    """
    names = ["+".join(_file(name, parents=0) for name in group) for group in groups]
    return [
        "+".join(_file(each, parents=1) for each in group) if names.count(name) > 1 else name
        for name, group in zip(names, groups, strict=True)
    ]


def short_parameters(parameters: Sequence[str]) -> dict[str, str]:
    """Each parameter's last part, "learning_rate", or the whole name if two share the last part.

    "seed" always means the run's seed.
    """
    last = [parameter.rpartition(".")[2] for parameter in parameters]
    shared = {name for name, times in Counter([*last, "seed"]).items() if times > 1}
    return {
        parameter: _safe(parameter) if name in shared else name
        for parameter, name in zip(parameters, last, strict=True)
    }


def values(bound: Mapping[str, str]) -> str:
    """ "learning_rate=0.001,update_period=4", from each parameter's bound gin text."""
    short = short_parameters(list(bound))
    return ",".join(f"{short[parameter]}={value(text)}" for parameter, text in bound.items())


def value(text: str) -> str:
    """The gin value `text` in letters that need no quotes; a long text is cut and gets a digest."""
    try:
        meant = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        meant = None
    readable = _safe(meant if isinstance(meant, str) else text)
    if isinstance(meant, bool | int | float) or readable == text.lstrip("@") or readable == meant:
        unmistakable = True  # no other value of this kind reads like this
    else:
        unmistakable = isinstance(meant, list | tuple) and all(
            isinstance(each, bool | int | float) for each in meant
        )
    if unmistakable and readable and len(readable) <= _LONGEST:
        return readable
    return f"{readable[:_KEPT]}-{hashlib.sha256(text.encode()).hexdigest()[:8]}".lstrip("-")


def _file(name: str, parents: int) -> str:
    path = configuration.find_config(name)
    if path.is_relative_to(configuration.packaged_configs()) and not user_path(name).is_file():
        path = path.relative_to(configuration.packaged_configs())
        return _safe("_".join(path.with_suffix("").parts)).replace(".", "_")
    parts = Path(path).absolute().with_suffix("").parts[-1 - parents :]
    return _safe("_".join(parts)).replace(".", "_")


def _safe(text: str) -> str:
    """`text` without letters that have a meaning in a shell, a path or gin."""
    return re.sub(r"[^\w.+-]+", "_", text, flags=re.ASCII).strip("_.") or "value"
