"""Runs agents written in Dopamine's style, for a single environment, unchanged."""

from __future__ import annotations

import inspect
import string
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import gin
import gymnasium
import numpy as np

from dopamine_lite.agents.agent import Agent, State, Transitions
from dopamine_lite.common.errors import UserError
from dopamine_lite.common.seeding import Seeds
from dopamine_lite.environments.environment import EnvironmentSpec
from dopamine_lite.spaces.packed_space import PackedSpace

_PLAIN = frozenset(f"{string.ascii_letters}{string.digits}/._-+=@ ")  # in the names of files


class DopamineStyleAgent(Protocol):
    """What Dopamine asks of an agent (Castro et al. 2018). Built as `agent(num_actions, seed)`."""

    eval_mode: bool

    def begin_episode(self, observation: np.ndarray) -> int:
        """The first action of an episode."""

    def step(self, reward: float, observation: np.ndarray) -> int:
        """The next action, given what the last one led to."""

    def end_episode(self, reward: float, terminal: bool = True) -> None:
        """The last reward of an episode; `terminal` is False if the episode was truncated."""

    def bundle_and_checkpoint(self, checkpoint_dir: str, iteration_number: int) -> dict[str, Any]:
        """The agent's state as a tree of arrays and numbers, and files in `checkpoint_dir`."""

    def unbundle(self, checkpoint_dir: str, iteration_number: int, bundle: dict[str, Any]) -> bool:
        """Takes back what `bundle_and_checkpoint` returned and wrote; False if it cannot."""


@gin.configurable
class DopamineAdapter(Agent):
    """Runs one agent that is written in Dopamine's style, for a single environment, unchanged.

    If observations are stacks of frames, the agent gets the newest frame with a channel axis, [height,
    width, 1], as it would from Dopamine's environments. Other observations are passed on as they are.

    Args:
      spec: the environment's specification, with one environment and discrete actions.
      seeds: the agent's node in the tree of seeds.
      agent: the Dopamine-style agent, built as `agent(num_actions=, seed=)`, such as `@SwitchingAgent`.
    """

    def __init__(
        self, spec: EnvironmentSpec, seeds: Seeds, *, agent: Callable[..., DopamineStyleAgent]
    ):
        if not isinstance(spec.action_space, gymnasium.spaces.Discrete):
            raise UserError(
                f"Dopamine-style agents act in discrete action spaces, but {spec.id} has "
                f"{spec.action_space}: choose another environment."
            )
        if spec.num_envs != 1:
            raise UserError(
                "A Dopamine-style agent plays in one environment, but Runner.num_envs is "
                f"{spec.num_envs}: set it to 1."
            )
        if spec.action_masks:
            raise UserError(
                f"Dopamine-style agents cannot avoid illegal actions, but {spec.id} has some: choose "
                "another agent or environment."
            )
        if isinstance(spec.observation_space, PackedSpace):
            raise UserError(
                f"Dopamine-style agents see one array, but {spec.id}'s observations have several "
                "entries: bind Runner.environment = @wrapped_environment with @Flatten as a wrapper."
            )
        self._first_action = int(spec.action_space.start)
        self._stacked = spec.stack_size > 1
        self._agent = agent(num_actions=int(spec.action_space.n), seed=seeds.integer("agent"))
        self._says_terminal = "terminal" in inspect.signature(self._agent.end_episode).parameters
        self._reward: float | None = None  # reward of the last action; None where an episode begins

    def act(
        self,
        observations: np.ndarray,
        evaluate: bool = False,
        action_masks: np.ndarray | None = None,
    ) -> np.ndarray:
        self._agent.eval_mode = evaluate
        observation = observations[0, -1, ..., np.newaxis] if self._stacked else observations[0]
        if self._reward is None:
            action = self._agent.begin_episode(observation)
        else:
            action = self._agent.step(self._reward, observation)
        return np.array([self._first_action + action])

    def observe(self, transitions: Transitions, evaluate: bool = False) -> None:
        reward = float(transitions.rewards[0])
        terminated = bool(transitions.terminated[0])
        if not terminated and not transitions.truncated[0]:
            self._reward = reward
            return
        self._reward = None
        if self._says_terminal:
            self._agent.end_episode(reward, terminated)
        else:
            self._agent.end_episode(reward)

    def get_state(self) -> State:
        with tempfile.TemporaryDirectory() as directory:
            bundle = self._agent.bundle_and_checkpoint(directory, 0)
            files = {
                path.relative_to(directory).as_posix(): np.fromfile(path, np.uint8)
                for path in sorted(Path(directory).rglob("*"))
                if path.is_file()
            }
        return {"bundle": bundle, "files": files}

    def set_state(self, state: State) -> None:
        with tempfile.TemporaryDirectory() as directory:
            for name, content in state["files"].items():
                _write_below(Path(directory), name, content)
            if not self._agent.unbundle(directory, 0, state["bundle"]):
                raise UserError(
                    f"{type(self._agent).__name__}.unbundle refused the checkpoint, which another "
                    "version of this agent may have written: use that version."
                )

    def describe(self) -> dict[str, Any]:
        return {"agent": type(self._agent).__name__, "style": "Dopamine, one environment"}


def _write_below(directory: Path, name: str, content: np.ndarray) -> None:
    """Writes a checkpoint's file; raises UserError if `name` leads out of `directory`."""
    parts = name.split("/")
    if not _PLAIN.issuperset(name) or any(set(part) <= {"."} for part in parts):
        raise UserError(
            f"The checkpoint has a file called {name!r}, which is not a plain file name."
        )
    if not isinstance(content, np.ndarray) or content.dtype != np.uint8 or content.ndim != 1:
        raise UserError(f"The checkpoint's file {name} is not made of bytes.")
    path = directory.joinpath(*parts)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "xb") as file:
            file.write(content.data)
    except OSError as error:  # the name is too long, or a directory has it
        raise UserError(
            f"The checkpoint's file {name} cannot be written: {error.strerror}."
        ) from error
