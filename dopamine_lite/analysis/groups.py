"""Which runs form a group, and the name of the group: only what differs between groups."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas as pd

from dopamine_lite.analysis.run_tables import SEED
from dopamine_lite.common.errors import UserError
from dopamine_lite.common.printable import printable
from dopamine_lite.configuration.comparison import may_change
from dopamine_lite.configuration.names import did_you_mean, shortened

# Settings that choose a run's environment, not its agent.
_PLACES = ("AtariEnvironment.game", "MinAtarEnvironment.game", "create_environment.id")
_NOT_OF_A_GROUP = (SEED, *_PLACES)
_CALLED = {  # the key: a class's name without "Agent"
    "QRDQN": "QR-DQN",
    "QLearning": "Q-learning",
    "DoubleQLearning": "Double Q-learning",
    "Reinforce": "REINFORCE",
}
_COLUMNS = ("config", "agent", "environment", "protocol", "commit", "processor", "agent_steps")
_CALLED_BY = ("agent", "config", "Runner.agent")
_MOST_LISTED = 8  # settings in a note
_MOST_NAMED = 4  # settings in a name; with more differences, a name has some settings and a number


def group_names(runs: pd.DataFrame, by: Sequence[str] = ()) -> pd.Series:
    """The name of the group that each run belongs to.

    Runs form a group if they have the same config, agent and settings. The seed, the game or
    environment and what may change in a run do not count. With `by`, runs form a group if they have the
    same values of what it names.

    Args:
      runs: the table `Runs.runs`.
      by: columns of `runs`, or settings such as "Adam.learning_rate".

    Returns:
      A text for each run, in the order of `runs`.

    Raises:
      UserError: `by` names something that no run has.
    """
    if by:
        for name in by:
            _check_known(name, runs)
        keys = [_chosen(row, by) for row in runs.to_dict("records")]
    else:
        keys = [_whole(row) for row in runs.to_dict("records")]
    different = _different(keys)
    names = _chosen_names(different, by) if by else _names(different)
    found = {
        tuple(sorted(key.items())): printable(name)
        for key, name in zip(different, names, strict=True)
    }
    return pd.Series(
        [found[tuple(sorted(key.items()))] for key in keys], index=runs.index, dtype="str"
    )


def differing_settings(runs: pd.DataFrame) -> list[str]:
    """The settings in which `runs` differ, apart from seed, length and environment.

    Agent and config come first, then the settings, sorted.
    """
    differing = _differing([_whole(row) for row in runs.to_dict("records")])
    return sorted(differing, key=lambda name: (name not in ("agent", "config"), name))


def unnamed_differences(runs: pd.DataFrame) -> str | None:
    """A sentence on settings that differ but are not in the groups' names; None: there are none.

    Groups that are called by their agents or configs can differ in the settings of a part that several
    of them have, such as the optimizer's learning rate.
    """
    different = _different([_whole(row) for row in runs.to_dict("records")])
    if len(different) < 2 or not any(
        _are_told_apart(different, part) for part in ("agent", "config")
    ):
        return None  # the names hold the differences
    found = [
        name
        for name in sorted({name for key in different for name in key} - {*_CALLED_BY})
        if len({key[name] for key in different if name in key}) > 1
    ]
    if not found:
        return None
    more = len(found) - _MOST_LISTED
    listed = ", ".join(found[:_MOST_LISTED])
    if more > 0:
        listed += f" and {more} more setting{'s' * (more > 1)}"
    return (
        f"The groups also differ in the settings of parts that they share: {listed}. Give the name of a "
        "setting as `by` to name the groups by its values."
    )


def _different(keys: list[dict[str, str]]) -> list[dict[str, str]]:
    """Each key once, in order of first appearance."""
    return list({tuple(sorted(key.items())): key for key in keys}.values())


def _are_told_apart(keys: list[dict[str, str]], part: str) -> bool:
    names = [key[part] for key in keys]
    return all(names) and len(set(names)) == len(keys)


def short_agent(name: str | None) -> str:
    """What the field calls an agent of this class: "DQN" for "DQNAgent"."""
    short = (name or "unknown").removesuffix("Agent") or "Agent"
    return _CALLED.get(short, short)


def _whole(row: Mapping[Any, Any]) -> dict[str, str]:
    """Everything that the runs of a run's group have in common."""
    settings = {
        name: value
        for name, value in row["settings"].items()
        if name not in _NOT_OF_A_GROUP and not may_change(name)
    }
    return settings | {"agent": short_agent(row["agent"]), "config": row["config"] or ""}


def _chosen(row: Mapping[Any, Any], by: Sequence[str]) -> dict[str, str]:
    return {name: _value(row, name) for name in by}


def _value(row: Mapping[Any, Any], name: str) -> str:
    if name == "agent":
        return short_agent(row["agent"])
    if name in _COLUMNS:
        return "unknown" if row[name] is None else str(row[name])
    return str(row["settings"].get(name, "none"))


def _check_known(name: str, runs: pd.DataFrame) -> None:
    settings = {setting for row in runs["settings"] for setting in row}
    if name in _COLUMNS or name in settings:
        return
    if name in (SEED, "seed"):
        raise UserError(
            "Runs cannot be grouped by their seed: the statistics of a group are over its seeds."
        )
    known = [*_COLUMNS, *sorted(settings)]
    raise UserError(
        f"No run has a setting {name}{did_you_mean(name, known)}: give a setting as config.gin names "
        f"it, or one of {', '.join(_COLUMNS)}."
    )


def _chosen_names(keys: list[dict[str, str]], by: Sequence[str]) -> list[str]:
    """The values alone if they speak for themselves, otherwise with the settings' names."""
    return [
        " ".join(
            key[name] if name in _COLUMNS else f"{_short(name, by)}={_unquoted(key[name])}"
            for name in by
        )
        for key in keys
    ]


def _names(keys: list[dict[str, str]]) -> list[str]:
    """Agents if these tell the groups apart, else configs, else both with their differences."""
    for part in ("agent", "config"):
        if _are_told_apart(keys, part):
            return [key[part] for key in keys]
    bases = _bases(keys)
    for as_text in (_rounded, _unquoted):
        names = []
        for key, base in zip(keys, bases, strict=True):
            others = [other for other, theirs in zip(keys, bases, strict=True) if theirs == base]
            names.append(f"{base} {_distinction(key, others, as_text)}".strip())
        if len(set(names)) == len(names):
            return names
    return _numbered(names)


def _bases(keys: list[dict[str, str]]) -> list[str]:
    """The beginning of each name: the agent if each agent has one config, else the config."""
    pairs = {(key["agent"], key["config"]) for key in keys}
    agents = {agent for agent, _ in pairs}
    if len(agents) == len(pairs):
        return [key["agent"] for key in keys]
    return [key["config"] or key["agent"] for key in keys]


def _distinction(
    key: dict[str, str], others: list[dict[str, str]], as_text: Callable[[str], str]
) -> str:
    """The differences between `key` and the `others`, in a few words; empty if there are no others."""
    differing = _differing(others)
    kept = differing
    if len(differing) > _MOST_NAMED:
        kept = _enough(differing, others)
    words = [f"{_short(name, differing)}={as_text(key.get(name, 'none'))}" for name in kept]
    left_out = len(differing) - len(kept)
    more = f"(and {left_out} more setting{'s' * (left_out > 1)})"
    return " ".join([*words, more] if left_out else words)


def _differing(keys: list[dict[str, str]]) -> list[str]:
    settings = sorted({name for key in keys for name in key})
    return [name for name in settings if len({key.get(name) for key in keys}) > 1]


def _enough(differing: list[str], keys: list[dict[str, str]]) -> list[str]:
    """A subset of the settings that still tells all `keys` apart, found by adding one at a time."""
    chosen: list[str] = []
    apart = 1
    while apart < len(keys):
        counts = {
            name: len({tuple(key.get(part) for part in [*chosen, name]) for key in keys})
            for name in differing
        }
        best = max(counts, key=lambda name: counts[name])
        chosen.append(best)
        apart = counts[best]
    return chosen


def _short(name: str, among: Sequence[str]) -> str:
    """The last part of a setting's name, unless another setting has the same last part."""
    last = name.rpartition(".")[2]
    return last if sum(other.rpartition(".")[2] == last for other in among) == 1 else name


def _unquoted(value: str) -> str:
    quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "'\""
    return value[1:-1] if quoted else value.lstrip("@")


def _rounded(value: str) -> str:
    """The value, rounded to four digits if it is a decimal number, or shortened if it is a long text."""
    try:
        return f"{float(value):.4g}" if "." in value else shortened(_unquoted(value))
    except ValueError:
        return shortened(_unquoted(value))


def _numbered(names: list[str]) -> list[str]:
    return [f"{name} #{names[: index + 1].count(name)}" for index, name in enumerate(names)]
