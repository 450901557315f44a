"""What the tabular agents share: tables of action values, acting on them, updating their entries."""

from __future__ import annotations

import abc
from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np

from dopamine_lite.acting.exploration import EpsilonGreedy, Exploration, made_exploration
from dopamine_lite.agents.agent import Agent, Explanation, State, Transitions, discrete_actions
from dopamine_lite.common.checks import check_fraction, check_number, check_whole
from dopamine_lite.common.errors import UserError
from dopamine_lite.common.memory import require_memory
from dopamine_lite.common.schedules import share_left
from dopamine_lite.common.seeding import Seeds, generator_state, restore_generator
from dopamine_lite.environments.environment import EnvironmentSpec
from dopamine_lite.spaces.packed_space import PackedSpace


class TabularAgent(Agent):
    """Learns a value for each of S states and A actions. A subclass computes the targets.

    Q(s, a) <- Q(s, a) + alpha (target - Q(s, a)), once for each agent step. All targets of a step of
    N environments are computed from the values before the step. Updates of the same entry are made one
    after the other, in the order of their environments, so the entry stays between its old value and
    the targets, however many updates there are.

    Args:
      spec: the environment's specification, with discrete observations. @Discretise makes other
        observations discrete.
      seeds: the agent's node in the tree of seeds.
      gamma: the discount per agent step.
      learning_rate: alpha, the step size, above 0 and at most 1.
      learning_rate_decay_period: the agent steps in which alpha falls linearly to zero; None: alpha is
        constant.
      initial_value: the initial value of every action in every state. If it is above every possible
        return, the agent tries every action.
      exploration: the strategy that chooses actions by their values.

    Raises:
      UserError: observations or actions are not discrete, a number is out of range, or the table
        does not fit into memory.
    """

    _num_tables = 1

    def __init__(
        self,
        spec: EnvironmentSpec,
        seeds: Seeds,
        *,
        gamma: float = 0.99,
        learning_rate: float = 0.1,
        learning_rate_decay_period: int | None = None,
        initial_value: float = 0.0,
        exploration: Callable[..., Exploration] = EpsilonGreedy,
    ):
        name = type(self).__name__
        states, actions = _discrete_spaces(spec, name)
        check_fraction(name, gamma=gamma, learning_rate=learning_rate)
        check_number(name, initial_value=initial_value)
        check_whole(name, optional=True, learning_rate_decay_period=learning_rate_decay_period)
        if not 0 < learning_rate <= 1:
            raise UserError(
                f"{name}.learning_rate is {learning_rate!r}: give a number above 0, at most 1."
            )
        self._gamma = gamma
        self._learning_rate = learning_rate
        self._learning_rate_decay_period = learning_rate_decay_period
        self._first_state, self._first_action = int(states.start), int(actions.start)
        self._num_actions = int(actions.n)
        shape = (self._num_tables, int(states.n), self._num_actions)
        require_memory(
            8 * int(np.prod(shape, dtype=object)),
            f"{name}'s table of {shape[1]:,} states",
            "use fewer bins, or an agent with a network",
        )
        self._tables = np.full(shape, initial_value, np.float64)
        self._entries = self._tables.reshape(-1)  # the same memory
        self._exploration = made_exploration(
            *(name, exploration, self._num_actions, 0, seeds.child("exploration")),
            *(spec.first_env, spec.num_envs),
        )
        self._num_envs = spec.num_envs
        self._generator = seeds.generator("update")  # for draws in updates
        self._steps = 0  # agent steps observed
        self._reset_sums()

    @abc.abstractmethod
    def _learn(self, transitions: Transitions) -> None:
        """Updates entries by one step of training."""

    def act(
        self,
        observations: np.ndarray,
        evaluate: bool = False,
        action_masks: np.ndarray | None = None,
    ) -> np.ndarray:
        return self._choose(observations, evaluate, action_masks) + self._first_action

    def observe(self, transitions: Transitions, evaluate: bool = False) -> None:
        if not evaluate:
            self._steps += len(transitions.actions)
            self._learn(transitions)

    @property
    def first_update(self) -> int | None:
        return self._num_envs

    def metrics(self) -> dict[str, float | np.ndarray]:
        values: dict[str, float | np.ndarray] = dict(self._exploration.metrics(self._steps))
        if self._updates:
            values |= {
                "td_error": self._error_sum / self._updates,
                "q_mean": self._value_sum / self._updates,
            }
        if self._learning_rate_decay_period is not None:
            values["learning_rate"] = self._alpha()
        self._reset_sums()
        return values | {"q_values": self._entries}

    def get_state(self) -> State:
        return {
            "steps": self._steps,
            "tables": self._tables.copy(),
            "exploration": self._exploration.get_state(),
            "generator": generator_state(self._generator),
        }

    def set_state(self, state: State) -> None:
        if state["tables"].shape != self._tables.shape:
            raise ValueError(f"tables {state['tables'].shape} instead of {self._tables.shape}")
        self._steps = state["steps"]
        self._tables[:] = state["tables"]
        self._exploration.set_state(state["exploration"])
        restore_generator(self._generator, state["generator"])

    def start_from(self, state: State) -> None:
        if state["tables"].shape != self._tables.shape:
            raise ValueError(f"tables {state['tables'].shape} instead of {self._tables.shape}")
        self._tables[:] = state["tables"]

    def explain(
        self, observations: np.ndarray, action_masks: np.ndarray | None = None
    ) -> Explanation:
        return Explanation(action_values=self._values(observations))

    def describe(self) -> dict[str, Any]:
        return {
            "agent": type(self).__name__,
            "exploration": type(self._exploration).__name__,
            "tables": len(self._tables),
            "states": self._tables.shape[1],
            "parameters": self._tables.size,
        }

    @property
    def memory_bytes(self) -> int:
        return self._tables.nbytes

    def _values(self, observations: np.ndarray) -> np.ndarray:
        """The action values [N, A] on which the agent acts."""
        return self._tables[0].take(observations - self._first_state, axis=0)

    def _legal_values(self, observations: np.ndarray, masks: np.ndarray | None) -> np.ndarray:
        """The same values, but minus infinity where an action is illegal."""
        return legal(self._values(observations), masks)

    def _choose(
        self, observations: np.ndarray, evaluate: bool, masks: np.ndarray | None
    ) -> np.ndarray:
        """The policy's actions [N], counted from 0."""
        return self._exploration.choose(
            len(observations),
            lambda: self._legal_values(observations, masks),
            self._steps,
            evaluate,
            masks,
        )

    def _entries_of(self, observations: np.ndarray, actions: np.ndarray) -> np.ndarray:
        """Where Q(s, a) of the first table is in `_entries`: [N] int64."""
        states = observations - self._first_state
        return states * self._num_actions + (actions - self._first_action)

    def _targets(self, transitions: Transitions, next_values: np.ndarray) -> np.ndarray:
        """r + gamma v [N] for values v [N] of s'; r where the episode terminated there."""
        rewards = transitions.rewards
        return np.where(transitions.terminated, rewards, rewards + self._gamma * next_values)

    def _update(self, entries: np.ndarray, targets: np.ndarray) -> None:
        """Moves `entries` [N], of which several may be the same, toward `targets` [N]."""
        values = self._entries[entries]
        errors = targets - values
        self._updates += len(entries)
        self._error_sum += float(np.abs(errors).sum())
        self._value_sum += float(values.sum())
        np.add.at(self._entries, entries, step_sizes(entries, self._alpha()) * errors)

    def _alpha(self) -> float:
        return self._learning_rate * share_left(self._steps, self._learning_rate_decay_period)

    def _reset_sums(self) -> None:
        """Resets the sums over the updates since the last `metrics`."""
        self._updates, self._error_sum, self._value_sum = 0, 0.0, 0.0


def legal(values: np.ndarray, masks: np.ndarray | None) -> np.ndarray:
    """The values [N, A], but minus infinity where `masks` marks an action as illegal."""
    return values if masks is None else np.where(masks, values, -np.inf)


def step_sizes(entries: np.ndarray, learning_rate: float) -> np.ndarray | float:
    """alpha (1 - alpha)^k [N], where k later elements of `entries` [N] are the same entry.

    These weights turn n updates of an entry q, one after the other, into one sum. The updates lead to q
    (1 - alpha)^n + sum_i alpha (1 - alpha)^(n - i) target_i, which is q plus the sum of its weighted
    errors (target - q).
    """
    if len(entries) == 1:
        return learning_rate
    order = entries.argsort(kind="stable")
    ordered = entries[order]
    later = np.empty_like(entries)
    later[order] = ordered.searchsorted(ordered, "right") - np.arange(1, len(entries) + 1)
    return learning_rate * (1 - learning_rate) ** later


def _discrete_spaces(
    spec: EnvironmentSpec, agent: str
) -> tuple[gymnasium.spaces.Discrete, gymnasium.spaces.Discrete]:
    """The spaces of observations and actions."""
    states = spec.observation_space
    if not isinstance(states, gymnasium.spaces.Discrete):
        wrappers = (
            "@Discretise" if isinstance(states, gymnasium.spaces.Box) else "@Flatten, @Discretise"
        )
        remedy = (
            "make them discrete with `Runner.environment = @wrapped_environment` and "
            f"`wrapped_environment.wrappers = [{wrappers}]`"
        )
        if not isinstance(states, gymnasium.spaces.Box | PackedSpace):
            remedy = "let the environment number them from 0, as one Discrete"
        raise UserError(
            f"{agent} needs discrete observations, but {spec.id} has {states}: {remedy}."
        )
    return states, discrete_actions(spec, agent)
