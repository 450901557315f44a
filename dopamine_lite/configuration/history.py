"""What was renamed, removed or changed since a configuration was written, all in one place.

A run's config.gin holds every value in force, so that it outlives the code that wrote it: what is new
since has its default (see `comparison`), and what is listed here is translated.
"""

from __future__ import annotations

import re

from dopamine_lite.common.errors import UserError

# Of config.gin; it rises with every entry below, which holds for the files of smaller schemas.
SCHEMA = 1
_HEADER = "# The configuration in force, every value. Schema "

# (schema since, name before, name now) of a parameter, "DQNAgent.n_step", or of an imported module.
RENAMED: tuple[tuple[int, str, str], ...] = ()
# (schema since, name before, value) of a parameter that is gone; what the code does now is what this
# value meant, as gin text.
REMOVED: tuple[tuple[int, str, str], ...] = ()
# (schema since, name, values that mean the same, sentence) of a parameter that means something else now.
CHANGED: tuple[tuple[int, str, tuple[str, ...], str], ...] = (
    (
        1,
        "Runner.checkpoint_every_steps",
        ("None",),
        "Runner.checkpoint_every_steps counted the steps of all streams together when this run began, "
        "and now counts those of each stream: with several streams, segments are longer from here on.",
    ),
)

_BINDING = re.compile(r"(?:(?P<scope>\S+)/)?(?P<name>[^\s/]+) = (?P<value>.*)")


def with_header(text: str) -> str:
    """A text from `operative` as it is written to config.gin."""
    return f"{_HEADER}{SCHEMA}.\n\n{text}"


def translated(text: str, source: str) -> tuple[str, list[str]]:
    """The text of a config.gin in today's names, and a sentence for everything that is not as it was.

    Args:
      text: of the file; without a header it is of schema 0.
      source: what to call the file.

    Raises:
      UserError: it is of a later version, or binds what there is no more to another value than the one
        that today's code amounts to.
    """
    schema = _schema(text, source)
    renamed = {old: new for since, old, new in RENAMED if schema < since}
    removed = {name: value for since, name, value in REMOVED if schema < since}
    changed = {name: (same, said) for since, name, same, said in CHANGED if schema < since}
    lines, sentences = [], []
    for line in text.splitlines():
        binding, module = _BINDING.fullmatch(line), line.removeprefix("import ")
        if not binding:
            lines.append(f"import {renamed[module]}" if module in renamed else line)
            continue
        scope, name, value = binding.groups()
        if name in removed:
            if value != removed[name]:
                raise UserError(
                    f"{source} has {name} = {value}, a setting that dopamine_lite no longer has; now "
                    f"{removed[name]} holds always: use the version that the run was begun with."
                )
            sentences.append(f"{name} is no setting any more; this run's {value} is what is done.")
            continue
        same, said = changed.get(name, ((value,), ""))
        if value not in same:
            sentences.append(said)
        if name in renamed:
            sentences.append(f"{name} is called {renamed[name]} now.")
            name = renamed[name]
        lines.append(f"{f'{scope}/' if scope else ''}{name} = {value}")
    return "\n".join(lines) + "\n", sentences


def name_now(name: str) -> str | None:
    """What the parameter `name` is called now, where it was renamed."""
    return next((new for _, old, new in RENAMED if old == name), None)


def _schema(text: str, source: str) -> int:
    header = re.match(rf"{re.escape(_HEADER)}(\d+)\.\n", text)
    schema = int(header[1]) if header else 0
    if schema > SCHEMA:
        raise UserError(
            f"{source} has schema {schema}, and this version of dopamine_lite reads up to {SCHEMA}: use "
            "the version that wrote it."
        )
    return schema
