"""SAC (Haarnoja et al. 2018b): learns, from replay, a policy with a high return that stays random."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import tensorflow as tf

from dopamine_lite.acting.inference import Inference
from dopamine_lite.acting.squashed_actor import SquashedActor
from dopamine_lite.agents.agent import Explanation, State
from dopamine_lite.agents.block_agent import BlockAgent
from dopamine_lite.agents.update_schedule import UpdateSchedule
from dopamine_lite.common.checks import check_flag, check_fraction, check_whole
from dopamine_lite.common.contracts import checked_part
from dopamine_lite.common.errors import UserError
from dopamine_lite.common.seeding import Seeds
from dopamine_lite.common.stopwatch import lap
from dopamine_lite.configuration.configurable import configurable
from dopamine_lite.environments.environment import EnvironmentSpec
from dopamine_lite.learning.learner import RecentMeans
from dopamine_lite.learning.sac_learner import SACLearner, SACParts
from dopamine_lite.networks.export import save_savedmodel
from dopamine_lite.networks.network import Network
from dopamine_lite.networks.squashed_policy import SquashedGaussianPolicy
from dopamine_lite.networks.torsos import MLP, Torso, updating
from dopamine_lite.networks.twin_critics import TwinCritics
from dopamine_lite.replay.block import Block
from dopamine_lite.replay.circular_replay import CircularReplay
from dopamine_lite.replay.replay import Replay, ReplaySpec
from dopamine_lite.replay.ring_replay import check_memory


@configurable(passes_to=[SACLearner])
class SACAgent(BlockAgent):
    """SAC: maximizes the return plus alpha times the policy's entropy, with continuous actions.

    This is algorithm 1 of Haarnoja et al. (2018b). Actions are uniformly random in the first
    `min_replay_history` agent steps, over all environments, and nothing is learned during them.

    Args:
      spec: the environment's specification.
      seeds: the agent's node in the tree of seeds.
      torso: the body of each network, such as `@MLP`. The policy and the two critics each have their
        own.
      replay: the replay buffer, `@CircularReplay` or `@PrioritizedReplay`. A transition's priority is
        the mean of both critics' absolute TD errors.
      gamma: the discount per agent step.
      update_horizon: n, the number of rewards that are summed before bootstrapping.
      min_replay_history: the agent steps before the first update.
      warmup_hold: the steps for which each environment repeats a random action before the first update.
        Independent actions can cancel each other out and lead nowhere; repeated ones explore farther.
      update_period: the agent steps between updates.
      updates_per_period: the gradient steps taken every `update_period` agent steps.
      batch_size: the transitions in a gradient step.
      sample_in_evaluation: draw actions from the policy in evaluation too; False: take tanh(mean).
    """

    actor: SquashedActor
    learns_from_other_actions = False
    needs_decisions = True

    def __init__(
        self,
        spec: EnvironmentSpec,
        seeds: Seeds,
        *,
        torso: Callable[[Seeds], Torso] = MLP,
        replay: Callable[[ReplaySpec, np.random.Generator], Replay] = CircularReplay,
        gamma: float = 0.99,
        update_horizon: int = 1,
        min_replay_history: int = 10_000,
        warmup_hold: int = 1,
        update_period: int = 1,
        updates_per_period: int = 1,
        batch_size: int = 256,
        sample_in_evaluation: bool = False,
        **settings: Any,
    ):
        name = type(self).__name__
        check_fraction(name, gamma=gamma)
        check_flag(name, sample_in_evaluation=sample_in_evaluation)
        check_whole(name, warmup_hold=warmup_hold, batch_size=batch_size)
        self._schedule = UpdateSchedule.checked(
            name,
            spec.num_envs,
            update_horizon,
            min_replay_history,
            update_period,
            updates_per_period,
        )
        self._spec = spec
        self._update_horizon = update_horizon
        actions, observations = _actions(spec, name), _observations(spec, name)

        def one_torso(seeds: Seeds) -> Torso:
            return checked_part(name, "torso", torso(seeds), Torso)

        own = seeds.child("network")
        self._policy = SquashedGaussianPolicy(own.child("policy"), actions)
        size = self._policy.action_size
        self.replay: Replay = checked_part(
            name,
            "replay",
            replay(
                ReplaySpec(
                    frame_shape=observations.shape,
                    frame_dtype=np.dtype(observations.dtype),
                    num_envs=spec.num_envs,
                    action_shape=(size,),
                    action_dtype=np.dtype(np.float32),
                    update_horizon=update_horizon,
                    gamma=gamma,
                ),
                seeds.generator("replay"),
            ),
            Replay,
        )
        network = Network(one_torso(own.child("torso")), self._policy, observations)
        critics, targets = (
            TwinCritics(own.child("critics"), one_torso, observations, size) for _ in range(2)
        )
        critics.require_equal(targets)  # the same seeds made them
        sample = self.replay.sample_spec(batch_size)
        networks = network.batch_bytes(batch_size) + critics.batch_bytes(batch_size)
        self._schedule.require_memory(name, sample, networks)
        inference = Inference(network)
        self.actor = SquashedActor(
            inference,
            self._policy,
            seeds,
            spec.num_envs,
            min_replay_history,
            warmup_hold,
            sample_in_evaluation,
        )
        self.learner = SACLearner(
            name,
            SACParts(network, critics, targets, inference.parameters),
            sample,
            seeds,
            **settings,
        )
        self._batch_size = batch_size
        self._steps = 0  # agent steps learned from
        self._is_compiled = False
        self._means = RecentMeans(self.learner.metric_names)

    @property
    def block_length(self) -> int:
        return self._schedule.block_length(self._steps)

    def learn(self, block: Block) -> None:
        self._compile()
        self.replay.add(block._replace(actions=block.decisions.actions))
        lap("store")
        before, self._steps = self._steps, self._steps + block.agent_steps
        if due := self._schedule.due(before, self._steps):
            sample = self.replay.sample(due, self._batch_size)
            lap("sample")
            learned = self.learner.learn(sample)
            self._means.add(learned.metrics)
            self.actor.load(learned.parameters)
            if learned.priorities is not None:
                self.replay.feedback(sample, learned.priorities.numpy())

    def _compile(self) -> None:
        """Compiles, in the first step, everything that training calls (see `ValueAgent`)."""
        if self._is_compiled:
            return
        self._is_compiled = True
        self.actor.inference.compile()
        self.learner.compile(*self._schedule.numbers)
        lap("compile")

    @property
    def first_update(self) -> int | None:
        return self._schedule.first_update

    def metrics(self) -> dict[str, float | np.ndarray]:
        return {
            **self.actor.metrics(),
            **self.replay.metrics(),
            **self.learner.learning_rates(),
            **self._means.take(),
        }

    def get_state(self) -> State:
        return {
            "actor": self.actor.get_state(),
            "learner": self.learner.get_state(),
            "replay": self.replay.get_state(),
            "steps": self._steps,
        }

    def set_state(self, state: State) -> None:
        self.actor.set_state(state["actor"])
        self.learner.set_state(state["learner"])
        self.replay.set_state(state["replay"])
        self._steps = state["steps"]
        self.actor.load(self.actor.inference.parameters())

    def actor_parameters(self) -> np.ndarray:
        return self.actor.inference.all_parameters()

    def start_from(self, state: State) -> None:
        """As `Agent.start_from`. A temperature that is learned counts as a weight."""
        self.learner.start_from(state["learner"])
        self.actor.load(self.actor.inference.parameters())

    def export(self, path: Path, format: str = "savedmodel") -> None:
        """As `Agent.export`: tanh(mean), scaled to the actions' bounds, and the policy's outputs."""
        if format == "keras":
            raise UserError(
                f"The outputs of a {type(self).__name__} are not actions until they are squashed and "
                "scaled, which a Keras model of layers cannot do: export it with `format` savedmodel."
            )
        network, policy = self.actor.inference.network, self._policy

        def greedy(observations: tf.Tensor) -> dict[str, tf.Tensor]:
            outputs = network(network.prepare(observations))
            return {"actions": policy.exported_mode(outputs), "outputs": outputs}

        save_savedmodel(greedy, network.variables, self._spec.observation_space, path)

    def explain(
        self, observations: np.ndarray, action_masks: np.ndarray | None = None
    ) -> Explanation:
        return Explanation(**self._policy.explain(self.actor.inference(observations)))

    def describe(self) -> dict[str, Any]:
        network, learner = self.actor.inference.network, self.learner
        return {
            "agent": type(self).__name__,
            "torso": f"3 {type(network.torso).__name__}",
            **network.head.describe(),
            **self.replay.describe(),
            "optimizer": type(learner.optimizers["actor"]).__name__,
            "acting": self.actor.inference.kind,
            "precision": network.precision,
            "updating": updating(network.torso),
            "parameters": network.num_parameters + learner.parts.critics.num_parameters,
            "learned_temperature": learner.learns_temperature,
            "target_entropy": learner.target_entropy if learner.learns_temperature else None,
            "update_horizon": self._update_horizon,
        }

    @property
    def memory_bytes(self) -> int:
        return self.replay.memory_bytes

    def check_memory(self) -> None:
        check_memory(self.replay, type(self).__name__)


def _actions(spec: EnvironmentSpec, agent: str) -> gymnasium.spaces.Box:
    """The action space; raises UserError if it is not a `Box` with finite bounds."""
    space = spec.action_space
    if spec.action_masks:
        raise UserError(
            f"{agent} cannot follow action masks, but {spec.id} says which actions are legal: choose "
            "PPOAgent or DQNAgent, or another environment."
        )
    if not isinstance(space, gymnasium.spaces.Box):
        raise UserError(
            f"{agent} needs a Box action space, but {spec.id} has {space}: choose an agent for discrete "
            "actions, such as PPOAgent or DQNAgent, or another environment."
        )
    if not (np.isfinite(space.low).all() and np.isfinite(space.high).all()):
        raise UserError(
            f"{agent} scales its actions to the bounds of the action space, which are not finite in "
            f"{spec.id} ({space}): wrap the environment so that its Box has finite bounds, or choose "
            "PPOAgent."
        )
    return space


def _observations(spec: EnvironmentSpec, agent: str) -> gymnasium.spaces.Box:
    """The observation space; raises UserError if an observation is not one row of numbers."""
    space = spec.observation_space
    if spec.stack_size > 1:
        raise UserError(
            f"{agent} reads one row of numbers, but an observation of {spec.id} is a stack of "
            f"{spec.stack_size} frames: give it single frames, and add @Flatten if a frame is not "
            "one row of numbers."
        )
    if not isinstance(space, gymnasium.spaces.Box) or len(space.shape) != 1:
        raise UserError(
            f"{agent} reads one row of numbers, but an observation of {spec.id} is {space}: wrap the "
            "environment with @Flatten."
        )
    return space
