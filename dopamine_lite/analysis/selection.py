"""Which runs count: finished runs of one protocol, each seed once; and sentences on the other runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import pandas as pd

from dopamine_lite.analysis.groups import differing_settings, group_names
from dopamine_lite.analysis.run_tables import Runs, records
from dopamine_lite.analysis.runs import EVALUATION, to_stderr, was_pruned
from dopamine_lite.analysis.statistics import FEWEST_SEEDS
from dopamine_lite.common.errors import UserError

_MOST_TOLD = 3  # of runs or values that a sentence lists; the rest are only counted
_LONGEST_NAME = 40  # letters of a protocol's name in a group's name; a longer name becomes a letter
UNFINISHED = ", unfinished"  # the end of the names of unfinished groups
Report = Callable[[str], None]


def select(
    runs: Runs,
    by: Sequence[str] = (),
    across_protocols: bool = False,
    report: Report = to_stderr,
) -> Runs:
    """Chooses the runs that statistics use, and adds a column `group` (see `group_names`).

    Runs that have not finished, that a search has pruned, or whose environment or seed is not known are
    left out, with a sentence. A run that a callback such as EarlyStopping has ended early counts as
    finished.

    Args:
      runs: what `load_runs` returns.
      by: what to group runs by; empty: everything in which they differ.
      across_protocols: whether runs with different protocols may stand side by side; each protocol then
        forms groups of its own, named after the parts of the protocol that differ.
      report: called with sentences on the runs that are left out, and on what else a reader should know.

    Raises:
      UserError: no run is left, a seed occurs twice in a group, or protocols differ.
    """
    chosen = grouped(runs, by, across_protocols, report=report)
    for sentence in remarks(chosen.runs):
        report(sentence)
    return chosen


def grouped(
    runs: Runs,
    by: Sequence[str] = (),
    across_protocols: bool = False,
    unfinished: bool = False,
    report: Report = to_stderr,
) -> Runs:
    """What `select` returns, without the sentences of `remarks`.

    Args:
      unfinished: whether to keep runs that have not finished. They form groups of their own, whose names
        end in `UNFINISHED`, because their last iterations are not their ends.
    """
    table = runs.runs
    for why, chosen in _unusable(table, unfinished):
        if chosen.any():
            left_out = runs.runs[chosen]
            report(f"{_count(len(left_out), 'run')} left out, {why}: {some(left_out['run'])}.")
            table = table.drop(left_out.index)
    if table.empty:
        raise UserError(
            "No run is left to compare: let a run finish, or draw an unfinished one with `plot`."
        )
    names = group_names(table, by)
    table = table.assign(group=names.where(table["finished"], names + UNFINISHED))
    table = _apart_by_protocol(table, across_protocols, report)
    _refuse_seeds_twice(table)
    kept = set(table["run"])
    return Runs(
        table.reset_index(drop=True),
        *(frame[frame["run"].isin(kept)].reset_index(drop=True) for frame in runs[1:]),
    )


def _unusable(table: pd.DataFrame, unfinished: bool) -> Iterator[tuple[str, pd.Series]]:
    pruned = table["stopped"].map(was_pruned).astype(bool)
    yield "pruned by a search, and the last return of a pruned run is not a result", pruned
    usable = (table["finished"] | unfinished) & ~pruned
    yield "not finished", ~usable & ~pruned
    unknown = table["environment"].isna() | table["seed"].isna()
    yield (
        "because their environment or seed is not known (no provenance.json)",
        unknown & usable,
    )


def _apart_by_protocol(table: pd.DataFrame, allowed: bool, report: Report) -> pd.DataFrame:
    """Refuses different protocols in one environment, or names groups after them."""
    groups = dict(zip(table["run"], table["group"], strict=True))
    for environment, rows in table.groupby("environment", sort=False):
        known = rows[rows["protocol"].notna()]
        unknown = len(rows) - len(known)
        if unknown and len(known):
            report(
                f"The protocol of {_count(unknown, 'run')} in {environment} is not known: "
                "compare with care."
            )
        parts = {text: _parts(text) for text in known["protocol"].unique()}
        names = sorted({name for each in parts.values() for name in each})
        differing = [name for name in names if len({each.get(name) for each in parts.values()}) > 1]
        if any(EVALUATION[0] not in each for each in parts.values()):
            # A table of runs does not say how they were evaluated.
            differing = [name for name in differing if name not in EVALUATION]
        if not differing:
            continue
        if not allowed:
            raise UserError(
                f"The protocols in {environment} differ in "
                f"{_differences(differing, parts, known)}: results from different protocols cannot "
                "be compared. Leave out the runs of one of them, or use `across_protocols` to show "
                "them side by side, with the protocols in their names."
            )
        called, sentence = _protocol_names(differing, parts)
        for run, text in zip(known["run"], known["protocol"], strict=True):
            groups[run] = f"{groups[run]} [{called[text]}]"
        report(
            f"Protocols in {environment} differ, so their results cannot be compared directly: "
            f"{sentence}."
        )
    return table.assign(group=table["run"].map(groups))


def _parts(protocol: str) -> dict[str, str]:
    pairs = (part.partition(" ") for part in protocol.split("; "))
    return {name: value for name, _, value in pairs}


def _protocol_names(
    differing: list[str], parts: dict[str, dict[str, str]]
) -> tuple[dict[str, str], str]:
    """A name for each protocol, and a text that explains the names."""
    said = {
        text: ", ".join(f"{name} {each.get(name, 'none')}" for name in differing)
        for text, each in parts.items()
    }
    if max(map(len, said.values())) <= _LONGEST_NAME and len(set(said.values())) == len(said):
        return said, "; ".join(said.values())
    letters = {text: f"protocol {_letter(index)}" for index, text in enumerate(said)}
    return letters, "; ".join(f"{letters[text]} has {said[text]}" for text in said)


def _letter(index: int) -> str:
    return chr(ord("A") + index) if index < 26 else str(index + 1)


def _differences(
    differing: list[str], parts: dict[str, dict[str, str]], known: pd.DataFrame
) -> str:
    """ "frame_skip (4 in runs/a, 5 in runs/b)" for each."""
    words = []
    for name in differing[:_MOST_TOLD]:
        examples = {parts[row["protocol"]].get(name, "none"): row["run"] for row in records(known)}
        said = ", ".join(f"{value} in {run}" for value, run in list(examples.items())[:_MOST_TOLD])
        words.append(f"{name} ({said})")
    rest = len(differing) - _MOST_TOLD
    return "; ".join(words) + (f"; and {', '.join(differing[_MOST_TOLD:])}" if rest > 0 else "")


def _refuse_seeds_twice(table: pd.DataFrame) -> None:
    for (group, environment, seed), rows in _by(table, "group", "environment", "seed"):
        if len(rows) > 1:
            others = differing_settings(rows)
            remedy = (
                f"these runs differ in {some(others)}, which `by` can name as well"
                if others
                else "leave out all but one of these runs"
            )
            raise UserError(
                f"Seed {seed} occurs {len(rows)} times in the group {group} in {environment}: "
                f"{some(rows['run'])}. A seed counts once: {remedy}."
            )


def remarks(table: pd.DataFrame) -> Iterator[str]:
    """Sentences on what may be misleading in these runs, whose groups are in the column `group`."""
    cells = {
        f"{group} in {where}": rows for (group, where), rows in _by(table, "group", "environment")
    }
    lengths = {cell: _range(rows["agent_steps"]) for cell, rows in cells.items()}
    if unequal := [f"{cell} ({length})" for cell, length in lengths.items() if " to " in length]:
        yield (
            "Runs of one group end at different agent steps, and each is scored at its own end: "
            f"{some(unequal)}."
        )
    for cell, rows in cells.items():
        if others := differing_settings(rows):
            yield f"Runs of {cell} differ in {some(others)}, but are treated as one group."
    if mixed := [cell for cell, rows in cells.items() if rows["commit"].nunique() > 1]:
        yield f"Runs of one group were made by different commits of dopamine_lite: {some(mixed)}."
    if few := [f"{cell} ({len(rows)})" for cell, rows in cells.items() if len(rows) < FEWEST_SEEDS]:
        yield (
            f"There is no interval for fewer than {FEWEST_SEEDS} seeds, which say too little about "
            f"how runs vary: {some(few)}."
        )
    ends = table.groupby(["environment", "group"], sort=False)["agent_steps"].max()
    ranges = {str(name): _range(steps) for name, steps in ends.groupby("environment", sort=False)}
    if unequal := [f"{name} ({length})" for name, length in ranges.items() if " to " in length]:
        yield (
            "Groups end at different agent steps, so their final scores come after different "
            f"amounts of training: {some(unequal)}."
        )


def _range(steps: pd.Series) -> str:
    low, high = steps.min(), steps.max()
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def _by(table: pd.DataFrame, *columns: str) -> Iterator[tuple[tuple[Any, ...], pd.DataFrame]]:
    yield from table.groupby(list(columns), sort=False)


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'s' * (number != 1)}"


def some(names: Iterable[object]) -> str:
    """A few of `names`, and the number of the others."""
    listed = [str(name) for name in names]
    rest = len(listed) - _MOST_TOLD
    return ", ".join(listed[:_MOST_TOLD]) + (f" and {rest:,} more" if rest > 0 else "")
