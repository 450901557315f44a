"""A search with Optuna: it suggests settings, prunes bad suggestions, and learns from good ones.

A suggestion is one setting of the searched parameters. Its runs, one for each seed, are trials of the
study. The first seed runs alone. At the end of each of its iterations, Optuna gets the evaluation return
and may prune the suggestion. If it does not, the other seeds follow, and Optuna may still prune the
suggestion after each of them. A suggestion's score is the return of the last evaluation, averaged over
all seeds.

Everything that Optuna knows is in search.journal in the study's directory. A generator seeded with its
number draws each suggestion, so a search that is killed goes on as if it had not been killed.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from dopamine_lite import configuration
from dopamine_lite.callbacks.prune import ANSWER, VALUE
from dopamine_lite.checkpointing.storage import make_directory, replace_file
from dopamine_lite.common.errors import UserError
from dopamine_lite.files import strict_json
from dopamine_lite.files.paths import user_path
from dopamine_lite.files.plain_files import check_regular
from dopamine_lite.study import naming
from dopamine_lite.study.conduct import Result, done, last_return, look
from dopamine_lite.study.study import Trial, Variant
from dopamine_lite.study.suggestions import (
    JOURNAL,
    Base,
    Suggestion,
    short,
    suggestion_score,
    value_text,
    with_pruning,
)

BEST = "best.gin"
_NAME = "search"  # name of Optuna's study in the journal
_WARM_UP = 4  # nothing is pruned in the first 1 / _WARM_UP of a run
_PRUNED = "the search has pruned it"


class Search:
    """The source of a search's trials.

    Args:
      study: the study's directory.
      base: the common parts of all suggestions.
      suggestions: the number of suggestions in the finished search.
      seed: the seed of Optuna's sampler.
      record: called with the trials of each suggestion before they start.
      say: called with a sentence on each suggestion that has ended.

    Raises:
      UserError: the directory holds a search with other settings.
    """

    def __init__(
        self,
        study: Path,
        base: Base,
        suggestions: int,
        seed: int,
        record: Callable[[Sequence[Trial]], None],
        say: Callable[[str], None],
    ):
        self._optuna = _optuna()
        self._study = study
        self._base = base
        self._total = suggestions
        self._seed = seed
        self._record = record
        self._say = say
        self._search = self._opened()
        self._asked = len(self._search.get_trials(deepcopy=False))
        running = self._optuna.trial.TrialState.RUNNING
        self._open = [
            self._suggestion(self._optuna.trial.Trial(self._search, each._trial_id))
            for each in self._search.get_trials(deepcopy=False, states=(running,))
        ]
        for suggestion in list(self._open):
            self._take_in(suggestion)

    def _opened(self) -> Any:
        """Optuna's study, new or continued."""
        make_directory(self._study)
        journal = self._study / JOURNAL
        _mend(journal)
        storage = self._optuna.storages.JournalStorage(
            self._optuna.storages.journal.JournalFileBackend(str(journal))
        )
        iterations = self._base.examined.iterations
        search = self._optuna.create_study(
            storage=storage,
            study_name=_NAME,
            direction="maximize",
            load_if_exists=True,
            pruner=self._optuna.pruners.MedianPruner(n_warmup_steps=iterations // _WARM_UP),
        )
        variant = self._base.examined.variant
        now = {
            "gin_files": list(variant.gin_files),
            "bindings": list(variant.bindings),
            "spaces": [str(space) for space in self._base.spaces],
            "seeds": list(self._base.seeds),
            "iterations": iterations,
            "seed": self._seed,
        }
        before = search.user_attrs.get("search", now)
        for name, value in now.items():
            if before.get(name) != value:
                raise UserError(
                    f"{self._study} holds another search ({name}: {before.get(name)} there, "
                    f"{value} now): give another `base_dir`, or repeat the command of that search "
                    "to continue it."
                )
        search.set_user_attr("search", now)
        return search

    def _suggestion(self, told: Any) -> Suggestion:
        """Optuna's suggestion in `told`, new or from an earlier start."""
        values = {space.parameter: value_text(told, space) for space in self._base.spaces}
        readable = naming.values({name: short(text) for name, text in values.items()})
        common = self._base.examined.variant
        variant = Variant(
            f"{common.name}/suggestion={told.number},{readable}",
            common.gin_files,
            (
                *common.bindings,
                *(f"{name} = {text}" for name, text in values.items()),
                *with_pruning(self._base.examined),
            ),
        )
        trials = [
            Trial(variant, seed, self._base.examined.iterations, self._base.examined.agent_steps)
            for seed in self._base.seeds
        ]
        self._record(trials)
        return Suggestion(told, trials, list(trials))

    def _take_in(self, suggestion: Suggestion) -> None:
        """Notes the seeds that were finished before."""
        for trial in suggestion.trials:
            run = look(trial.directory(self._study))
            if done(run, trial):
                suggestion.waiting.remove(trial)
                self._finished(suggestion, Result(trial, run, 0.0))
        self._close(suggestion)

    def next(self) -> Trial | None:
        for suggestion in self._open:
            if suggestion.waiting and (
                suggestion.waiting[0] is suggestion.first or suggestion.is_open()
            ):
                trial = suggestion.waiting.pop(0)
                suggestion.running.append(trial)
                return trial
        if self._asked >= self._total:
            return None
        # Each suggestion has its own, so that suggestions do not depend on when the search was started.
        self._search.sampler = self._optuna.samplers.TPESampler(
            seed=(self._seed * 1_000_003 + self._asked) % 2**32
        )
        self._asked += 1
        suggestion = self._suggestion(self._search.ask())
        self._open.append(suggestion)
        suggestion.running.append(suggestion.waiting.pop(0))
        return suggestion.first

    def left(self) -> int:
        waiting = sum(len(each.waiting) for each in self._open if not (each.pruned or each.failed))
        return waiting + (self._total - self._asked) * len(self._base.seeds)

    def watch(self) -> None:
        """Tells Optuna about the iterations that have ended, and passes its answers on to the runs."""
        for suggestion in self._open:
            for trial in suggestion.running:
                directory = trial.directory(self._study)
                iteration, value = _told(directory / VALUE)
                if iteration <= _answered(directory / ANSWER):
                    continue
                if trial is suggestion.first and value is not None:
                    self._report(suggestion, iteration, value)
                self._answer(directory, iteration, suggestion.pruned)

    def _report(self, suggestion: Suggestion, step: int, value: float) -> None:
        known = self._search.get_trials(deepcopy=False)[suggestion.told.number]
        if step not in known.intermediate_values:  # otherwise, a kill came before the answer
            suggestion.told.report(value, step)
        if suggestion.told.should_prune():
            suggestion.pruned = True

    def _answer(self, directory: Path, iteration: int, prune: bool) -> None:
        answer: dict[str, object] = {"iteration": iteration, "prune": prune}
        if prune:
            answer["why"] = _PRUNED
        replace_file(directory / ANSWER, json.dumps(answer).encode())

    def ended(self, result: Result) -> None:
        for suggestion in list(self._open):
            if result.trial in suggestion.running:
                suggestion.running.remove(result.trial)
                self._finished(suggestion, result)
                self._close(suggestion)

    def _finished(self, suggestion: Suggestion, result: Result) -> None:
        value = last_return(result.progress)
        if result.interrupted:
            suggestion.stopped = True
        elif result.failure is not None or value is None:
            suggestion.failed = True
        elif _PRUNED in (result.progress.stopped or ""):
            suggestion.pruned = True
        else:
            suggestion.scores[result.trial.seed] = value
            self._report(
                suggestion,
                self._base.examined.iterations + len(suggestion.scores) - 1,
                suggestion_score(suggestion.scores),
            )

    def _close(self, suggestion: Suggestion) -> None:
        """Tells Optuna how a suggestion ended, if it has ended."""
        if suggestion.running or suggestion.stopped:
            return
        states, number = self._optuna.trial.TrialState, suggestion.told.number
        complete = len(suggestion.scores) == len(suggestion.trials)
        if suggestion.failed:
            self._search.tell(number, state=states.FAIL)
            self._say(f"Suggestion {number} failed and does not count.")
        elif complete:
            score = suggestion_score(suggestion.scores)
            if self._is_best(number, score):
                # This comes first: after a kill, Optuna is not told again.
                self._write_best(suggestion, score)
            self._search.tell(number, score)
            best = self._search.best_trial
            self._say(
                f"Suggestion {number}: return {score:,.2f} over {len(suggestion.scores)} seed"
                f"{'s' * (len(suggestion.scores) != 1)}; the best is {best.number} with "
                f"{best.value:,.2f}."
            )
        elif suggestion.pruned:
            self._search.tell(number, state=states.PRUNED)
            self._say(f"Suggestion {number} is pruned.")
        else:
            return
        self._open.remove(suggestion)

    def _is_best(self, number: int, score: float) -> bool:
        """Whether a suggestion will be the best. Among equals, the first is the best."""
        complete = (self._optuna.trial.TrialState.COMPLETE,)
        others = self._search.get_trials(deepcopy=False, states=complete)
        return all((score, -number) > (each.value, -each.number) for each in others)

    def _write_best(self, suggestion: Suggestion, score: float) -> None:
        """Writes the best suggestion as a gin file for `train`."""
        variant, own = suggestion.first.variant, with_pruning(self._base.examined)
        seeds = ", ".join(map(str, self._base.seeds))
        lines = [
            f"# Suggestion {suggestion.told.number} of a search: return {score:,.2f}, the mean of seeds "
            f"{seeds}.",
            *(f'include "{_to_include(name)}"' for name in variant.gin_files),
            "",
            *(each for each in variant.bindings if each not in own),
        ]
        replace_file(self._study / BEST, ("\n".join(lines) + "\n").encode())

    def begun(self) -> bool:
        """Whether there have been suggestions already."""
        return self._asked > 0

    def summary(self) -> str:
        """A sentence on the number of suggestions, their ends and the best one."""
        trials = self._search.get_trials(deepcopy=False)
        states = self._optuna.trial.TrialState
        complete, pruned, failed = (
            sum(each.state == state for each in trials)
            for state in (states.COMPLETE, states.PRUNED, states.FAIL)
        )
        plural = "s" * (len(trials) != 1)
        told = f"{len(trials)} suggestion{plural}"
        told += f": {complete} complete, {pruned} pruned, {failed} failed"
        if not complete:
            return f"{told}."
        best = self._search.best_trial
        values = ", ".join(f"{name} = {value}" for name, value in best.params.items())
        told += f"; the best is {best.number} ({values})"
        return f"{told} with a return of {best.value:,.2f}."


def _optuna() -> Any:
    optuna = importlib.import_module("optuna")
    importlib.import_module("optuna.storages.journal")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


def _mend(journal: Path) -> None:
    """Removes from the journal what a killed process left: an incomplete line, and its lock.

    Only the process that holds the study's lock calls this.
    """
    for lock in journal.parent.glob(f"{journal.name}.lock*"):
        lock.unlink()
    if not os.path.lexists(journal):
        return
    check_regular(journal, os.lstat(journal))
    content = journal.read_bytes()
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        os.truncate(journal, whole)


def _told(path: Path) -> tuple[int, float | None]:
    """The newest iteration that a run has reported (-1: none), and its value."""
    try:
        told = strict_json.expect(dict, strict_json.read(path))
        strict_json.number(told["value"])
        value = told["value"]
        return strict_json.whole(told["iteration"]), None if value is None else float(value)
    except (FileNotFoundError, KeyError, ValueError):
        return -1, None


def _answered(path: Path) -> int:
    """The newest iteration for which a run has an answer (-1: none)."""
    with contextlib.suppress(FileNotFoundError, KeyError, ValueError):
        return strict_json.whole(strict_json.expect(dict, strict_json.read(path))["iteration"])
    return -1


def _to_include(name: str) -> str:
    path = user_path(name)
    if path.is_file():
        return str(path.absolute())
    return configuration.find_config(name).relative_to(configuration.packaged_configs()).as_posix()
