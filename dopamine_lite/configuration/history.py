"""What was renamed, removed or changed since a configuration was written, all in one place.

A run's config.gin holds every value in force, so it outlives the code that wrote it: settings that are
newer than the file have their defaults (see `comparison`), and the changes listed here are translated.
"""

from __future__ import annotations

import re

from dopamine_lite.common.errors import UserError

# The schema of config.gin. It rises with every entry below. An entry applies to files with smaller
# schemas.
SCHEMA = 2
_HEADER = "# The configuration in force, every value. Schema "

# (schema since, name before, name now) of a part, such as "CircularReplay", of a parameter with its
# part's present name, such as "DQNAgent.n_step", or of an imported module.
RENAMED: tuple[tuple[int, str, str], ...] = (
    (2, "PPOAgent.kl_target", "PPOAgent.adaptive_kl_target"),
    (2, "PPOAgent.normalise_advantages", "PPOAgent.normalize_advantages"),
    (2, "PPOAgent.normalise_observations", "PPOAgent.normalize_observations"),
    (2, "PPOAgent.normalise_rewards", "PPOAgent.normalize_rewards"),
    (2, "PPOAgent.stop_at_kl", "PPOAgent.target_kl"),
    (2, "ReinforceAgent.normalise_advantages", "ReinforceAgent.normalize_advantages"),
    (2, "RMSProp.centred", "RMSProp.centered"),
    (2, "ReinforceAgent.normalise_observations", "ReinforceAgent.normalize_observations"),
    (2, "dopamine_lite.agents.exploration", "dopamine_lite.acting.exploration"),
    (
        2,
        "dopamine_lite.common.tensorflow_setup",
        "dopamine_lite.configuration.tensorflow_setup",
    ),
    (2, "dopamine_lite.common.replay.circular_replay", "dopamine_lite.replay.circular_replay"),
    (
        2,
        "dopamine_lite.common.replay.prioritized_replay",
        "dopamine_lite.replay.prioritized_replay",
    ),
)
# (schema since, name before, value) of a parameter that was removed. The code now always does what this
# value, as gin text, meant.
REMOVED: tuple[tuple[int, str, str], ...] = ()
# (schema since, name, values with the same meaning, sentence) of a parameter whose meaning has changed.
CHANGED: tuple[tuple[int, str, tuple[str, ...], str], ...] = (
    (
        1,
        "Runner.checkpoint_every_steps",
        ("None",),
        "Runner.checkpoint_every_steps counted the steps of all environments together when this "
        "run began, and now counts the steps of each environment: with several environments, "
        "segments are longer from now on.",
    ),
)

_REFERENCE = re.compile(r"(?<=@)((?:\w+/)*)(\w+)")  # in a value: its scopes, and the part
_BINDING = re.compile(r"(?:(?P<scope>\S+)/)?(?P<name>[^\s/]+) = (?P<value>.*)")


def with_header(text: str) -> str:
    """A text from `operative`, as it is written to config.gin."""
    return f"{_HEADER}{SCHEMA}.\n\n{text}"


def translated(text: str, source: str) -> tuple[str, list[str]]:
    """The text of a config.gin in today's names, and a message for everything that has changed.

    Args:
      text: the text of the file; without a header it has schema 0.
      source: the name of the file in messages.

    Raises:
      UserError: the file is from a later version, or it binds a setting that no longer exists to a
        value that today's code does not have.
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
        part, _, parameter = name.rpartition(".")
        name = f"{renamed.get(part, part)}.{parameter}" if part else name
        value = _REFERENCE.sub(lambda found: found[1] + renamed.get(found[2], found[2]), value)
        if name in removed:
            if value != removed[name]:
                raise UserError(
                    f"{source} has {name} = {value}, but dopamine_lite no longer has this setting and "
                    f"always does what {removed[name]} meant: use the version that began the run."
                )
            sentences.append(
                f"{name} is no longer a setting: dopamine_lite now always does what this run's "
                f"{value} meant."
            )
            continue
        same, said = changed.get(name, ((value,), ""))
        if value not in same:
            sentences.append(said)
        if name in renamed:
            sentences.append(f"{name} is now called {renamed[name]}.")
            name = renamed[name]
        lines.append(f"{f'{scope}/' if scope else ''}{name} = {value}")
    return "\n".join(lines) + "\n", sentences


def name_now(name: str) -> str | None:
    """The present name of the part, parameter or module `name`, if it was renamed."""
    return next((new for _, old, new in RENAMED if old == name), None)


def argument_now(name: str) -> str:
    """The present name of a keyword argument of a part's constructor."""
    settings = (entry for entry in RENAMED if entry[1].count(".") == 1)
    by_name = {old.rpartition(".")[2]: new.rpartition(".")[2] for _, old, new in settings}
    return by_name.get(name, name)


def _schema(text: str, source: str) -> int:
    header = re.match(rf"{re.escape(_HEADER)}(\d+)\.\n", text)
    schema = int(header[1]) if header else 0
    if schema > SCHEMA:
        raise UserError(
            f"{source} has schema {schema}, but this version of dopamine_lite reads only schemas up to "
            f"{SCHEMA}: use the version that wrote the file."
        )
    return schema
