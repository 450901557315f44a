"""Where a run's time went adds up to the time that it took, whatever happens to the run."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from dopamine_lite.agents.agent import Transitions
from dopamine_lite.agents.random_agent import RandomAgent
from dopamine_lite.callbacks import Callback, RunContext
from dopamine_lite.checkpointing import Checkpointer
from dopamine_lite.environments.environment import Environment
from dopamine_lite.reporting.log_reader import read_iterations
from dopamine_lite.reporting.time_parts import of_records
from tests.runner.test_same_experiment import CLIFF, runner

NAP = 0.002  # seconds
ROUNDED = 0.0005 * 20  # by so much the sum of a record's parts is off at most


def parts(base_dir: Path) -> list[dict[str, float]]:
    return [record["time"]["parts"] for record in read_iterations(base_dir)]


class SlowAgent(RandomAgent):
    """An agent of five methods; it names no parts, and all that it learns by is "update"."""

    def observe(self, transitions: Transitions, evaluate: bool = False) -> None:
        if not evaluate:
            time.sleep(NAP)


def slow_environment(**settings: Any) -> Environment:
    environment = CLIFF(**settings)
    step = environment.step

    def slow(actions):
        time.sleep(NAP)
        return step(actions)

    environment.step = slow
    return environment


def test_parts_add_up_to_the_wall_time(tmp_path):
    settings = {"num_iterations": 3, "training_steps": 400, "checkpoint_every_steps": 100}
    training = runner(tmp_path, environment=slow_environment, **settings)
    start = time.perf_counter()
    for _ in training.iterations():
        time.sleep(0.2)  # whoever asks for the iterations takes time that is not the run's
    wall = time.perf_counter() - start - 3 * 0.2
    records = read_iterations(tmp_path)
    for record in records:
        taken = record["time"]
        assert (
            sum(taken["parts"].values()) >= taken["train_seconds"] + taken["eval_seconds"] - ROUNDED
        )
    measured = sum(of_records(records).values())
    # What follows the last record, its lines and the last checkpoint, is in no record.
    assert 0.8 * wall < measured < wall + ROUNDED
    *_, last = records
    assert last["time"]["parts"]["checkpoint"] > 0 and last["time"]["parts"]["log"] > 0


def test_the_evaluation_is_a_branch_of_its_own(tmp_path):
    runner(tmp_path, environment=slow_environment, training_steps=200).run()
    (record,) = read_iterations(tmp_path)
    measured = record["time"]["parts"]
    evaluated = record["eval"]["episodes"] * record["eval"]["average_length"]
    assert measured["environment"] >= 200 * NAP
    assert NAP * evaluated <= measured["evaluation/environment"] < 200 * NAP
    branch = [seconds for part, seconds in measured.items() if part.startswith("evaluation/")]
    assert sum(branch) == pytest.approx(record["time"]["eval_seconds"], abs=ROUNDED)
    assert "evaluation/update" not in measured  # nothing is learned there


def test_all_that_an_agent_of_five_methods_learns_by_is_its_update(tmp_path):
    runner(tmp_path, agent=SlowAgent, training_steps=200).run()
    (measured,) = parts(tmp_path)
    assert measured["update"] >= 200 * NAP
    assert not measured.keys() & {"store", "sample", "compile"}
    assert max(measured["act"], measured["environment"]) < 200 * NAP


class Failing(Callback):
    """Ends the run by an error of its own, for as long as it is told to."""

    part_of_experiment = False
    at: int | None = None

    def on_metrics(self, agent_steps: int, metrics: Any) -> None:
        if agent_steps == self.at:
            raise ZeroDivisionError


def test_a_run_that_fails_and_goes_on_adds_up(tmp_path, monkeypatch):
    settings = {"training_steps": 400, "checkpoint_every_steps": 100, "num_iterations": 2}
    of_run = {"environment": slow_environment, "callbacks": [Failing], **settings}
    monkeypatch.setattr(Failing, "at", 300)
    with pytest.raises(ZeroDivisionError):
        runner(tmp_path, **of_run).run()
    saved = Checkpointer(tmp_path / "checkpoints").load().state
    assert saved["agent_steps"] == 200 and saved["time_parts"]["environment"] >= 200 * NAP
    monkeypatch.setattr(Failing, "at", None)
    going_on = runner(tmp_path, **of_run)
    start = time.perf_counter()
    going_on.run()
    wall = time.perf_counter() - start
    first, second = parts(tmp_path)
    assert first["environment"] >= 400 * NAP and second["environment"] >= 400 * NAP
    # No checkpoint holds what followed it, so that part is not counted twice.
    before = sum(saved["time_parts"].values())
    assert sum(first.values()) + sum(second.values()) < before + wall + 2 * ROUNDED


class Playing(Callback):
    """Evaluates the run's own agent, and trains another, while the run waits."""

    part_of_experiment = False

    def on_start(self, run: RunContext) -> None:
        self._place = run.base_dir.parent

    def on_iteration(self, record: Any) -> None:
        other = runner(self._place / "inner", environment=slow_environment, training_steps=200)
        other.run()
        other.evaluate(episodes=2, seed=0)


def test_a_run_in_a_run_is_measured_apart(tmp_path):
    runner(tmp_path / "outer", callbacks=[Playing], num_iterations=2, training_steps=40).run()
    (inner,) = parts(tmp_path / "inner")
    assert inner["environment"] >= 200 * NAP
    first, second = parts(tmp_path / "outer")
    assert second["log"] >= sum(inner.values()) - ROUNDED  # callbacks are part of it
    for measured in (first, second):
        assert measured["environment"] < 200 * NAP


def test_two_runs_in_turns_are_measured_apart(tmp_path):
    quick, slow = tmp_path / "quick", tmp_path / "slow"
    settings = {"num_iterations": 3, "training_steps": 100}
    turns = zip(
        runner(quick, **settings).iterations(),
        runner(slow, environment=slow_environment, **settings).iterations(),
        strict=True,
    )
    assert len(list(turns)) == 3
    assert all(measured["environment"] >= 100 * NAP for measured in parts(slow))
    assert all(measured["environment"] < 100 * NAP for measured in parts(quick))


def test_nothing_is_measured_outside_of_training(tmp_path):
    played = runner(tmp_path, environment=slow_environment)
    played.run()
    before = played.training._stopwatch.seconds()
    played.evaluate(episodes=1, seed=0)
    assert played.training._stopwatch.seconds() == before
