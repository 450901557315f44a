"""States that are not the run's, whatever they hold, are refused by one sentence."""

from __future__ import annotations

import functools
import json
import shutil
from typing import Any

import pytest

from dopamine_lite.agents.random_agent import RandomAgent
from dopamine_lite.environments.factory import create_environment
from dopamine_lite.runner.runner import Runner
from tests.checkpointing import crafted
from tests.cli.conftest import files_below

CHANGES: dict[str, tuple[str, Any]] = {  # where, and to what
    "no iteration": ("iteration", None),
    "iteration as words": ("iteration", "1"),
    "negative segment": ("segment", -1),
    "huge steps": ("agent_steps", {"$int": hex(2**70)}),
    "statistics as a list": ("statistics", []),
    "episodes as words": ("statistics.episodes", "none"),
    "logs as a list": ("logs", ["iterations.jsonl"]),
    "log as words": ("logs.iterations.jsonl", "12"),
    "agent as a number": ("agent", 3),
    "generator as a list": ("agent.train", []),
    "huge generator": ("agent.train.state.state", {"$int": hex(2**200)}),
}


def put(tree: dict, path: str, value: Any) -> None:
    name, _, rest = path.partition(".")
    if rest and name in tree and isinstance(tree[name], dict):
        put(tree[name], rest, value)
    else:
        tree[path] = value


@pytest.mark.parametrize("name", CHANGES)
def test_a_state_of_another_shape(runs, cli, tmp_path, name):
    where, value = CHANGES[name]
    run = shutil.copytree(runs["random"], tmp_path / "run")
    checkpoint = run / "checkpoints" / "checkpoint-000000000400"
    tree = json.loads((checkpoint / "state.json").read_bytes())
    put(tree, where, value)
    if where.startswith("statistics"):  # else an array is left over, which is noticed before
        crafted.change_arrays(checkpoint, {})
    crafted.rewrite(checkpoint / "state.json", json.dumps(tree).encode())
    before = files_below(run / "logs")
    resumed = cli("train", "--base_dir", run, "--gin_bindings", "Runner.num_iterations = 3")
    assert resumed.status == 2, resumed.err
    assert resumed.err.splitlines()[-1].startswith("dopamine-lite: ")
    assert "Traceback" not in resumed.err
    assert files_below(run / "logs") == before


def test_an_agents_own_error_keeps_its_place(runs, cli, tmp_path):
    """It may be a bug in a user's `set_state`, who needs file and line."""
    run = shutil.copytree(runs["random"], tmp_path / "run")
    checkpoint = run / "checkpoints" / "checkpoint-000000000400"
    crafted.change_state(checkpoint, lambda tree: tree | {"agent": {"train": {}}})
    ran = cli("evaluate", "--base_dir", run, "--episodes", 1)
    assert ran.status == 2 and ran.err.count("\n") == 1
    assert " does not fit this RandomAgent (" in ran.err
    assert "raised in " in ran.err and ", line " in ran.err


class Forgetful(RandomAgent):
    """A user's agent, whose state lacks what it looks for."""

    def set_state(self, state):
        self.counts = state["counts"]


def test_a_users_own_bug_keeps_its_traceback(tmp_path):
    def run(iterations):
        Runner(
            tmp_path,
            agent=Forgetful,
            environment=functools.partial(create_environment, "CartPole-v1"),
            num_iterations=iterations,
            training_steps=20,
            schedule="continuous_train",
        ).run()

    run(1)
    with pytest.raises(KeyError, match="counts") as raised:
        run(2)
    (note,) = raised.value.__notes__
    assert note.startswith("(while Forgetful took its state from ") and "checkpoint-0" in note
