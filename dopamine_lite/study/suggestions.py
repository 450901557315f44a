"""What a search tries: its spaces, the common parts of all suggestions, and a suggestion's runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from dopamine_lite.common.errors import UserError
from dopamine_lite.study.examination import Examined
from dopamine_lite.study.grid import Space
from dopamine_lite.study.study import Trial, Variant

JOURNAL = "search.journal"  # in the study's directory: everything that Optuna knows
_WAIT_SECONDS = 60.0  # how long a run waits for the answer to an iteration before it goes on
_OF_CORNERS = "/suggestion"  # the end of the names of variants that are never trained


@dataclass
class Suggestion:
    """A suggestion of Optuna's, and the progress of its seeds."""

    told: Any  # optuna.trial.Trial
    trials: list[Trial]
    waiting: list[Trial]  # not started by this process
    scores: dict[int, float] = field(default_factory=dict)  # by seed, for finished runs
    running: list[Trial] = field(default_factory=list)
    pruned: bool = False
    failed: bool = False
    stopped: bool = False  # by a signal; it goes on later

    @property
    def first(self) -> Trial:
        return self.trials[0]

    def is_open(self) -> bool:
        """Whether more seeds may start, because the first has ended well."""
        return not (self.pruned or self.failed) and self.first.seed in self.scores


@dataclass(frozen=True)
class Base:
    """The common parts of all suggestions.

    Attributes:
      examined: the experiment, without the parameters that are searched.
      seeds: the seeds of each suggestion.
      spaces: the spaces to search.
    """

    examined: Examined
    seeds: tuple[int, ...]
    spaces: tuple[Space, ...]


def corners(base: Variant, spaces: Sequence[Space]) -> list[Variant]:
    """Variants with every end of every space and every choice, for examination, not for training."""
    ends = {space.parameter: space.arguments for space in spaces}
    most = max(map(len, ends.values()))
    return [
        Variant(
            f"{base.name}{_OF_CORNERS}",
            base.gin_files,
            (
                *base.bindings,
                *(
                    f"{parameter} = {values[min(index, len(values) - 1)]}"
                    for parameter, values in ends.items()
                ),
            ),
        )
        for index in range(most)
    ]


def common(corner: Examined, spaces: Sequence[Space], seeds: Sequence[int]) -> Base:
    """The common parts of all suggestions, from the examination of one of the `corners`."""
    searched = {space.parameter for space in spaces}
    variant = corner.variant
    return Base(
        replace(
            corner,
            variant=Variant(
                variant.name.removesuffix(_OF_CORNERS),
                variant.gin_files,
                tuple(
                    each
                    for each in variant.bindings
                    if each.partition("=")[0].strip() not in searched
                ),
            ),
        ),
        tuple(seeds),
        tuple(spaces),
    )


def suggestion_score(scores: dict[int, float]) -> float:
    """The mean over seeds."""
    return sum(scores.values()) / len(scores)


def value_text(told: Any, space: Space) -> str:
    """Optuna's suggestion for a parameter, as gin text."""
    if space.kind == "choice":
        chosen = str(told.suggest_categorical(space.parameter, list(space.arguments)))
        if chosen not in space.arguments:
            raise UserError(
                f"{JOURNAL} holds {chosen!r} for {space}, which is none of its choices: restore it "
                "from a copy."
            )
        return chosen
    if space.kind == "int":
        return repr(told.suggest_int(space.parameter, *map(int, space.arguments)))
    low, high = map(float, space.arguments)
    return repr(told.suggest_float(space.parameter, low, high, log=space.kind == "loguniform"))


def short(text: str) -> str:
    """A short value for a name that a number already makes unique."""
    try:
        return repr(float(f"{float(text):.4g}")) if "." in text or "e" in text else text
    except ValueError:
        return text


def with_pruning(examined: Examined) -> list[str]:
    """Bindings with which a run reports its iterations and may be ended after any of them."""
    phase = "eval" if examined.evaluates else "train"
    return [
        f"Runner.callbacks = [{', '.join([*examined.callbacks, '@Prune'])}]",
        f"Prune.metric = '{phase}/average_return'",
        f"Prune.wait_seconds = {_WAIT_SECONDS}",
    ]
