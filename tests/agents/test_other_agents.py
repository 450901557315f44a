"""The random agent, and Dopamine-style agents behind their adapter."""

from __future__ import annotations

import dataclasses
import functools
import tempfile
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest

from dopamine_lite.agents.agent import Transitions
from dopamine_lite.agents.dopamine_adapter import DopamineAdapter
from dopamine_lite.agents.random_agent import RandomAgent
from dopamine_lite.agents.switching_agent import SwitchingAgent
from dopamine_lite.common.errors import UserError
from dopamine_lite.common.seeding import Seeds
from dopamine_lite.environments.factory import create_environment
from dopamine_lite.reporting.log_reader import read_iterations
from dopamine_lite.runner.runner import Runner
from tests.agents.tiny import Identity, spec


class Tape:
    """A Dopamine-style agent that writes down what it is told, and a file with it."""

    def __init__(self, num_actions: int, seed: int):
        self.eval_mode = False
        self.calls: list[list[Any]] = []

    def begin_episode(self, observation: np.ndarray) -> int:
        self.calls.append(["begin", float(observation[0])])
        return 1

    def step(self, reward: float, observation: np.ndarray) -> int:
        self.calls.append(["step", reward, float(observation[0])])
        return 2

    def end_episode(self, reward: float, terminal: bool = True) -> None:
        self.calls.append(["end", reward, terminal])

    def bundle_and_checkpoint(self, checkpoint_dir: str, iteration_number: int) -> dict[str, Any]:
        Path(checkpoint_dir, "notes.txt").write_text("kept")
        return {"calls": self.calls}

    def unbundle(self, checkpoint_dir: str, iteration_number: int, bundle: dict[str, Any]) -> bool:
        self.calls = bundle["calls"]
        return Path(checkpoint_dir, "notes.txt").read_text() == "kept"


def transition(observation: float, reward: float, ending: str = "") -> Transitions:
    return Transitions(
        np.array([[observation]]),
        np.array([0]),
        np.array([reward]),
        np.array([ending == "terminated"]),
        np.array([ending == "truncated"]),
        np.array([[observation + 1]]),
    )


def test_the_adapter_calls_in_dopamines_order():
    adapter = DopamineAdapter(spec(size=1), Seeds(0), agent=Tape)
    actions = []
    for observation, reward, ending in [
        (0, 1, ""),
        (1, 2, "terminated"),
        (5, 3, "truncated"),
        (7, 4, ""),
    ]:
        actions += adapter.act(np.array([[observation]])).tolist()
        adapter.observe(transition(observation, reward, ending))
    assert actions == [1, 2, 1, 1]
    assert adapter._agent.calls == [
        ["begin", 0],
        ["step", 1, 1],
        ["end", 2, True],
        ["begin", 5],
        ["end", 3, False],
        ["begin", 7],
    ]


def test_the_adapter_counts_actions_from_where_the_environment_does():
    shifted = dataclasses.replace(spec(size=1), action_space=gymnasium.spaces.Discrete(3, start=5))
    adapter = DopamineAdapter(shifted, Seeds(0), agent=Tape)
    assert adapter.act(np.array([[0.0]])).tolist() == [6]


def test_the_adapter_keeps_bundle_and_files():
    adapter = DopamineAdapter(spec(size=1), Seeds(0), agent=Tape)
    adapter.act(np.array([[4.0]]))
    state = adapter.get_state()
    other = DopamineAdapter(spec(size=1), Seeds(1), agent=Tape)
    other.set_state(state)
    assert other._agent.calls == [["begin", 4.0]]
    state["files"]["notes.txt"] = np.frombuffer(b"lost", np.uint8)
    with pytest.raises(UserError, match="Tape.unbundle refused"):
        other.set_state(state)


class Notes(Tape):
    """Has files in directories of its own."""

    def bundle_and_checkpoint(self, checkpoint_dir: str, iteration_number: int) -> dict:
        directory = Path(checkpoint_dir, "networks", "online-1.0")
        directory.mkdir(parents=True)
        (directory / "weights +x@0=a.data-00000-of-00001").write_bytes(b"w")
        return super().bundle_and_checkpoint(checkpoint_dir, iteration_number)


def test_the_adapter_keeps_files_in_directories():
    adapter = DopamineAdapter(spec(size=1), Seeds(0), agent=Notes)
    files = adapter.get_state()["files"]
    assert "networks/online-1.0/weights +x@0=a.data-00000-of-00001" in files
    DopamineAdapter(spec(size=1), Seeds(0), agent=Notes).set_state(adapter.get_state())


@pytest.mark.parametrize(
    "name",
    [
        *("../evil", "a/../../evil", "/tmp/evil", "//evil", "", ".", "..", "a/./b", "a//b", "a/"),
        *("evil\0", "..\\evil", "~/evil", "evil\n", "a" * 300),
    ],
)
def test_the_adapter_writes_no_file_elsewhere(name, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "deep" / "temporary"))
    (tmp_path / "deep" / "temporary").mkdir(parents=True)
    adapter = DopamineAdapter(spec(size=1), Seeds(0), agent=Tape)
    state = adapter.get_state()
    state["files"][name] = np.frombuffer(b"evil", np.uint8)
    with pytest.raises(UserError, match="^The checkpoint"):
        adapter.set_state(state)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["deep", "temporary"]


@pytest.mark.parametrize("content", [np.zeros(3), np.zeros((2, 2), np.uint8), "text", None, 5])
def test_the_adapters_files_are_bytes(content):
    adapter = DopamineAdapter(spec(size=1), Seeds(0), agent=Tape)
    state = adapter.get_state()
    state["files"]["notes"] = content
    with pytest.raises(UserError, match="file notes is not made of bytes"):
        adapter.set_state(state)


@pytest.mark.parametrize("names", [("a", "a/b"), ("a/b", "a"), ("a/b/c", "a/b")])
def test_a_file_of_the_adapter_is_no_directory(names):
    adapter = DopamineAdapter(spec(size=1), Seeds(0), agent=Tape)
    state = adapter.get_state()
    state["files"] |= {name: np.zeros(1, np.uint8) for name in names}
    with pytest.raises(UserError, match=f"^The checkpoint.*{names[1]}"):
        adapter.set_state(state)


def test_the_adapter_shows_the_newest_frame_as_dopamine_did():
    frames = dataclasses.replace(
        spec(), observation_space=gymnasium.spaces.Box(0, 255, (4, 84, 84), np.uint8), stack_size=4
    )
    shapes = []

    class Shape(Tape):
        def begin_episode(self, observation: np.ndarray) -> int:
            shapes.append(observation.shape)
            return int(observation[0, 0, 0])

    adapter = DopamineAdapter(frames, Seeds(0), agent=Shape)
    stack = np.arange(4, dtype=np.uint8)[None, :, None, None].repeat(84, 2).repeat(84, 3)
    assert adapter.act(stack).tolist() == [3]
    assert shapes == [(84, 84, 1)]


def test_the_adapter_wants_one_environment():
    with pytest.raises(UserError, match=r"Runner\.num_envs is 3: set it to 1"):
        DopamineAdapter(spec(num_envs=3), Seeds(0), agent=Tape)


def test_the_switching_agent_keeps_its_action():
    agent = SwitchingAgent(num_actions=18, seed=0, switch_prob=0.1)
    actions = [agent.step(0.0, np.zeros(1)) for _ in range(5000)]
    switches = np.count_nonzero(np.diff(actions))
    assert 0.08 * 17 / 18 < switches / 5000 < 0.12


@pytest.mark.parametrize("kind", ["random", "switching"])
def test_agents_go_on_from_their_state_and_evaluate_apart(kind):
    def build(seed: int) -> RandomAgent | DopamineAdapter:
        if kind == "random":
            return RandomAgent(spec(), Seeds(seed))
        return DopamineAdapter(spec(), Seeds(seed), agent=SwitchingAgent)

    def play(agent: RandomAgent | DopamineAdapter, evaluate_too: bool = False) -> list[int]:
        actions = []
        for _ in range(100):
            actions += agent.act(np.eye(3)[:1]).tolist()
            Identity().play(agent, 0)
            if evaluate_too:
                agent.act(np.eye(3)[:1], evaluate=True)
        return actions

    first, second = build(0), build(1)
    play(first)
    second.set_state(first.get_state())
    assert play(first) == play(second, evaluate_too=True)


def test_an_agent_that_does_not_know_says_nothing_of_its_first_update():
    assert RandomAgent(spec(), Seeds(0)).first_update is None


def test_random_actions_are_uniform():
    agent = RandomAgent(spec(num_actions=4), Seeds(0))
    actions = agent.act(np.zeros((4000, 3)))
    assert np.bincount(actions, minlength=4).min() > 900


def test_an_agent_need_not_describe_itself(tmp_path):
    class Silent(RandomAgent):
        def describe(self) -> dict[str, Any]:
            return {}

    runner = Runner(
        tmp_path,
        agent=Silent,
        environment=functools.partial(create_environment, "CartPole-v1"),
        num_iterations=1,
        training_steps=20,
        evaluation_episodes=1,
    )
    runner.run()
    assert len(read_iterations(tmp_path)) == 1
