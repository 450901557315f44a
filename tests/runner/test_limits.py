"""How long an episode may be: a limit is honored or refused, and a run keeps the one it was begun with.

tests/data/raised_limit/ holds a run of a version that could not raise an environment's own limit: a
random agent on MountainCar-v0, whose episodes end after 200 steps, with
`Runner.max_steps_per_episode = 300`.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from gymnasium import wrappers

from dopamine_lite.agents.random_agent import RandomAgent
from dopamine_lite.common.errors import UserError
from dopamine_lite.environments.environment import Environment
from dopamine_lite.environments.factory import create_environment
from dopamine_lite.reporting.log_reader import read_iterations
from dopamine_lite.runner.runner import Runner
from tests.checkpointing.crafted import change_state
from tests.environments.peculiar import Plain, registered

RAISED = Path(__file__).parents[1] / "data" / "raised_limit"


def runner(base_dir: Path, limit: int | None, **settings: Any) -> Runner:
    own = {
        "agent": RandomAgent,
        "environment": functools.partial(create_environment, id="MountainCar-v0"),
        "num_iterations": 1,
        "training_steps": 450,
        "max_steps_per_episode": limit,
        "evaluation_episodes": 1,
    }
    return Runner(base_dir, **own | settings)


@pytest.mark.parametrize(("limit", "length"), [(None, 200), (150, 150), (230, 230)])
def test_a_run_has_the_limit_that_it_asks_for(tmp_path, capsys, limit, length):
    """Often wrong: a limit above the environment's own is ignored, or goes unnoticed."""
    run = runner(tmp_path, limit)
    run.run()
    (record,) = read_iterations(tmp_path)
    assert record["train"]["average_length"] == record["eval"]["average_length"] == length
    provenance = json.loads((tmp_path / "provenance.json").read_text())
    assert provenance["protocol"]["max_steps_per_episode"] == length
    sentence = "raises the limit of MountainCar-v0 from 200 to 230 steps: published results are for"
    assert capsys.readouterr().err.count(sentence) == (length == 230)


def test_a_limit_inside_an_environment_can_be_lowered_and_not_raised(tmp_path):
    with registered(Limited=lambda: wrappers.TimeLimit(Plain(), 4)):
        made = functools.partial(create_environment, id="Limited-v0")
        assert runner(tmp_path / "run", 3, environment=made).spec.max_steps_per_episode == 3
        with pytest.raises(UserError, match="is 5, but Limited-v0 .* 4 steps. Bind 4 or None"):
            runner(tmp_path / "run", 5, environment=made).run()
    assert not (tmp_path / "run").exists()


def deaf(max_steps_per_episode: int | None, **arguments: Any) -> Environment:
    """An environment that does not heed the limit it is called with."""
    environment = create_environment("CartPole-v1", **arguments)
    environment.spec = dataclasses.replace(environment.spec, max_steps_per_episode=None)
    return environment


def test_an_environment_that_does_not_heed_a_limit_is_refused(tmp_path):
    with pytest.raises(
        UserError, match="does not keep to it: it declares no limit. Bind None, or change"
    ):
        runner(tmp_path / "run", 100, environment=deaf).run()
    assert not (tmp_path / "run").exists()
    runner(tmp_path / "run", None, environment=deaf).run()


def test_a_run_goes_on_with_the_limit_it_was_begun_with(tmp_path, cli):
    run = tmp_path / "run"
    shutil.copytree(RAISED, run)
    evaluated = cli("evaluate", "--base_dir", run, "--episodes", 1, "--output", tmp_path / "e.json")
    assert evaluated.status == 0, evaluated.err
    assert "max_steps_per_episode=200" in evaluated.out
    for iterations in (2, 3):  # the second time from a checkpoint of this version
        longer = ("--gin_bindings", f"Runner.num_iterations = {iterations}")
        resumed = cli("train", "--base_dir", run, *longer)
        assert resumed.status == 0, resumed.err
        assert "its episodes still end after 200 steps" in resumed.err
    records = read_iterations(run)
    assert len(records) == 3
    assert {
        record[phase]["average_length"] for record in records for phase in ("train", "eval")
    } == {200}


def without(state: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in state.items() if key != name}


def test_a_checkpoint_without_its_experiment_goes_on_too(tmp_path, cli):
    """Checkpoints did not always keep it; the provenance tells the limit."""
    run = tmp_path / "run"
    shutil.copytree(RAISED, run)
    (checkpoint,) = run.glob("checkpoints/checkpoint-*")
    change_state(checkpoint, lambda state: without(state, "experiment"))
    resumed = cli("train", "--base_dir", run, "--gin_bindings", "Runner.num_iterations = 2")
    assert resumed.status == 0, resumed.err
    assert "its episodes still end after 200 steps" in resumed.err
    assert read_iterations(run)[1]["eval"]["average_length"] == 200
