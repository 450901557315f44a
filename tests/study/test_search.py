"""Searches by Optuna: what is suggested, pruned and kept, also where a kill comes between."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dopamine_lite.analysis import load_runs, select
from dopamine_lite.callbacks.prune import ANSWER, VALUE
from dopamine_lite.common.errors import UserError
from dopamine_lite.runner.directory import Progress, progress
from dopamine_lite.study.conduct import Result
from dopamine_lite.study.examination import Examined, Needs
from dopamine_lite.study.grid import Space
from dopamine_lite.study.search import BEST, Search
from dopamine_lite.study.study import Trial, Variant
from dopamine_lite.study.suggestions import JOURNAL, common, corners
from tests.study.conftest import SMALL, bindings, start
from tests.study.test_sweep import CLIFF, NAME, finish, sweep

pytestmark = pytest.mark.extras
SPACES = (
    Space("Adam.learning_rate", "loguniform", ("1e-05", "0.01")),
    Space("MLP.hidden_units", "choice", ("(8,)", "(16, 16)")),
    Space("DQNAgent.update_period", "int", ("1", "4")),
)
ITERATIONS = 8
BASE = Variant("dqn_cartpole", ("dqn/cartpole.gin",), ("DQNAgent.gamma = 0.9",))


class Lab:
    """Carries a search out by saying what each run returns."""

    def __init__(self, directory: Path, suggestions: int = 20, seeds=(0,), spaces=SPACES):
        examined = Examined(BASE, ITERATIONS, 800, Needs(1, 1), ("@KeepBest",), True)
        self.directory, self.said, self.recorded = directory, [], []
        self.search = Search(
            directory,
            common(examined, spaces, seeds),
            suggestions,
            0,
            self.recorded.extend,
            self.said.append,
        )

    def tell(self, trial: Trial, iteration: int, value: float) -> bool:
        """The run of `trial` has ended an iteration; whether it is to end."""
        run = trial.directory(self.directory)
        run.mkdir(parents=True, exist_ok=True)
        told = {"iteration": iteration, "agent_steps": 100 * (iteration + 1), "value": value}
        (run / VALUE).write_text(json.dumps(told))
        self.search.watch()
        answer = json.loads((run / ANSWER).read_text())
        assert answer["iteration"] == iteration
        return answer["prune"]

    def end(self, trial: Trial, value: float, stopped: str | None = None, **how) -> None:
        run = Progress(ITERATIONS, ITERATIONS, 800, [{"eval": {"average_return": value}}], stopped)
        self.search.ended(Result(trial, run, 1.0, **how))

    def carry_out(self, trial: Trial, value: float) -> int:
        """Every iteration of a run returns `value`; how many there were."""
        for iteration in range(ITERATIONS):
            if self.tell(trial, iteration, value):
                self.end(trial, value, stopped="Prune: the search has pruned it.")
                return iteration + 1
        self.end(trial, value)
        return ITERATIONS


def test_corners_try_both_ends_and_every_choice():
    found = [variant.bindings for variant in corners(BASE, SPACES)]
    assert found == [
        (
            "DQNAgent.gamma = 0.9",
            "Adam.learning_rate = 1e-05",
            "MLP.hidden_units = (8,)",
            "DQNAgent.update_period = 1",
        ),
        (
            "DQNAgent.gamma = 0.9",
            "Adam.learning_rate = 0.01",
            "MLP.hidden_units = (16, 16)",
            "DQNAgent.update_period = 4",
        ),
    ]


def test_suggestions_are_in_their_spaces_and_do_not_depend_on_kills(tmp_path):
    def suggested(directory: Path, kill_after: set[int]) -> list[tuple[str, ...]]:
        lab, found = Lab(directory, 14), []
        while (trial := lab.search.next()) is not None:
            found.append(trial.variant.bindings)
            lab.carry_out(trial, 100.0 - len(found) % 5)
            if len(found) in kill_after:
                with open(directory / JOURNAL, "ab") as journal:
                    journal.write(b'{"op_code":5,"work')  # a kill cuts a line
                lab = Lab(directory, 14)
        return found

    whole = suggested(tmp_path / "whole", set())
    assert suggested(tmp_path / "killed", {1, 4, 12}) == whole
    assert len(whole) == len(set(whole)) == 14
    for _, rate, units, period, *pruning in whole:
        assert 1e-5 <= float(rate.removeprefix("Adam.learning_rate = ")) <= 1e-2
        assert units.partition(" = ")[2] in ("(8,)", "(16, 16)")
        assert 1 <= int(period.removeprefix("DQNAgent.update_period = ")) <= 4
        assert pruning[0] == "Runner.callbacks = [@KeepBest, @Prune]"


def test_what_does_worse_than_the_median_is_pruned_after_a_quarter_of_its_iterations(tmp_path):
    lab = Lab(tmp_path)
    for value in (10.0, 20.0, 30.0, 40.0, 50.0):  # the first five are never pruned
        assert lab.carry_out(lab.search.next(), value) == ITERATIONS
    assert lab.carry_out(lab.search.next(), 29.0) == ITERATIONS // 4 + 1
    assert lab.said[-1] == "Suggestion 5 is pruned."
    assert lab.carry_out(lab.search.next(), 31.0) == ITERATIONS
    assert "7 suggestions: 6 complete, 1 pruned, 0 failed; the best is 4" in lab.search.summary()
    again = Lab(tmp_path)
    assert again.search.summary() == lab.search.summary()
    assert again.search.left() == 13


def test_other_seeds_follow_the_first_and_the_mean_counts(tmp_path):
    lab = Lab(tmp_path, suggestions=2, seeds=(3, 4, 5))
    first, other = lab.search.next(), lab.search.next()
    assert (first.seed, other.seed) == (3, 3) and first.variant != other.variant
    assert lab.search.next() is None and lab.search.left() == 4
    lab.carry_out(first, 10.0)
    second, third = lab.search.next(), lab.search.next()
    assert [trial.seed for trial in (second, third)] == [4, 5]
    assert second.variant == third.variant == first.variant
    lab.carry_out(second, 20.0)
    lab.carry_out(third, 60.0)
    assert lab.said == ["Suggestion 0: return 30.00 over 3 seeds; the best is 0 with 30.00."]
    assert [trial.seed for trial in lab.recorded] == [3, 4, 5] * 2
    best = (tmp_path / BEST).read_text().splitlines()
    assert best[0].endswith("return 30.00, the mean of seeds 3, 4, 5.")
    assert best[1:4] == ['include "dqn/cartpole.gin"', "", "DQNAgent.gamma = 0.9"]
    assert best[4].startswith("Adam.learning_rate = ") and len(best) == 7


def test_the_best_is_written_before_the_search_knows_it(tmp_path, monkeypatch):
    """A kill in between would leave best.gin behind what the search says."""
    lab = Lab(tmp_path)
    for value, best in ((20.0, 0), (10.0, 0), (20.0, 0), (30.0, 3)):
        trial = lab.search.next()
        monkeypatch.setattr(lab.search._search, "tell", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            lab.carry_out(trial, value)
        monkeypatch.undo()
        assert (tmp_path / BEST).read_text().startswith(f"# Suggestion {best} of a search")
        again = Lab(tmp_path)
        again.end(again.search.next(), value)
        lab = Lab(tmp_path)
        assert f"the best is {best} " in lab.search.summary()


def test_failed_and_interrupted_runs_count_for_nothing(tmp_path):
    lab = Lab(tmp_path, suggestions=2, seeds=(0, 1))
    failing, stopped = lab.search.next(), lab.search.next()
    lab.end(failing, 500.0, failure="it has diverged")
    lab.end(stopped, 500.0, interrupted=True)
    assert lab.search.next() is None and not (tmp_path / BEST).exists()
    assert lab.said == ["Suggestion 0 failed and does not count."]

    again = Lab(tmp_path, suggestions=2, seeds=(0, 1))
    assert again.search.next() == stopped
    assert again.search.left() == 1
    assert "2 suggestions: 0 complete, 0 pruned, 1 failed" in again.search.summary()


def test_another_search_in_the_same_directory_is_refused(tmp_path):
    Lab(tmp_path)
    with pytest.raises(UserError) as refused:
        Lab(tmp_path, seeds=(0, 1))
    assert "holds another search (seeds: [0] there, [0, 1] now)" in str(refused.value)
    with pytest.raises(UserError) as refused:
        Lab(tmp_path, spaces=SPACES[:2])
    assert "holds another search (spaces: " in str(refused.value)


def test_a_search_prunes_real_runs_and_they_count_for_nothing(tmp_path):
    """With a learning rate near 0 the greedy path never arrives, and every evaluation is -100.

    This seed draws it for two of the first five suggestions, which are never pruned, and the last two.
    """
    study = tmp_path / "study"
    space = "--grid=QLearningAgent.learning_rate=choice(0.5,0.4,1e-9)"
    longer = SMALL | {"Runner.num_iterations": 8, "Runner.training_steps": 2000}
    arguments = [CLIFF, space, "--optuna", "--trials=8", "--optuna_seed=4", "--seeds=0"]
    _, err = finish(sweep(study, *arguments, *bindings(longer)))
    assert "8 suggestions: 6 complete, 2 pruned, 0 failed; the best is" in err
    runs = {run: progress(run) for run in (study / NAME).glob("suggestion=*/seed=0")}
    pruned = {run.parent.name: found for run, found in runs.items() if found.stopped}
    assert len(runs) == 8
    assert sorted(pruned) == [f"suggestion={n},learning_rate=1e-09" for n in (6, 7)]
    for found in pruned.values():  # after the first quarter of the iterations, at once
        assert found.iterations == 3 and found.stopped.startswith("Prune: ")
        assert found.records[-1]["eval"]["average_return"] == -100.0
    assert "QLearningAgent.learning_rate = 0." in (study / BEST).read_text()
    one_of_each = [
        run
        for run in runs
        if run.parent.name.startswith(("suggestion=0,", "suggestion=1,", "suggestion=6,"))
    ]
    chosen = select(load_runs(one_of_each), report=lambda _: None)
    assert len(one_of_each) == 3 and chosen.runs["stopped"].isna().all()
    assert sorted(chosen.runs["group"]) == [
        "Q-learning learning_rate=0.4",
        "Q-learning learning_rate=0.5",
    ]


def test_a_search_killed_and_given_again_trains_its_best(tmp_path):
    study = tmp_path / "study"
    space = "--grid=QLearningAgent.learning_rate=uniform(0.1,0.9)"
    arguments = [CLIFF, space, "--optuna", "--trials=2", "--seeds=0", *bindings(SMALL)]
    killed = sweep(study, *arguments, "--parallel=1")
    while not list(study.glob(f"{NAME}/*/seed=0/logs/iterations.jsonl")):
        assert killed.poll() is None, killed.communicate()
    killed.kill()
    killed.communicate()

    out, err = finish(sweep(study, *arguments))
    assert "2 suggestions: 2 complete, 0 pruned, 0 failed; the best is" in err
    assert f"sweep --base_dir runs/best --gin_files {study / BEST} --seeds 1:6\n" in out
    runs = sorted((study / NAME).glob("suggestion=*/seed=0"))
    assert len(runs) == 2 and all(progress(run).finished for run in runs)
    best = start("train", "--base_dir", tmp_path / "best", "--gin_files", study / BEST)
    finish(best)
    config = (tmp_path / "best" / "config.gin").read_text()
    assert "Prune" not in config and "QLearningAgent.learning_rate = 0." in config
