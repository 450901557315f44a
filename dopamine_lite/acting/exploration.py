"""Exploration: from action values to actions."""

from __future__ import annotations

import abc
from collections.abc import Callable

import gin
import numpy as np

from dopamine_lite.common.checks import check_fraction, check_number, check_positive, check_whole
from dopamine_lite.common.contracts import checked_part
from dopamine_lite.common.errors import UserError
from dopamine_lite.common.schedules import exponentially_decaying, linearly_decaying
from dopamine_lite.common.seeding import Seeds, generator_state, restore_generator
from dopamine_lite.common.types import State
from dopamine_lite.networks.greedy import greedy

_DECAYS = {"linear": linearly_decaying, "exponential": exponentially_decaying}


class Exploration(abc.ABC):
    """Chooses actions from their values. Built as `exploration(num_actions, warmup, seeds)`.

    In evaluation, it draws from a separate generator, so evaluating never changes training.
    """

    def __init__(self, num_actions: int, warmup: int, seeds: Seeds):
        self._num_actions = num_actions
        self._warmup = warmup
        self._generators = {False: seeds.generator("train"), True: seeds.generator("eval")}
        self._environments: tuple[int, int] | None = None  # what `act_in` was told

    def act_in(self, first: int, total: int) -> None:
        """Says which environments training calls `choose` for: those from number `first`, of `total`.

        An agent calls it once, after it has made the exploration.
        """
        self._environments = first, total

    @abc.abstractmethod
    def choose(
        self,
        num_envs: int,
        values: Callable[[], np.ndarray],
        step: int,
        evaluate: bool,
        masks: np.ndarray | None = None,
    ) -> np.ndarray:
        """Chooses actions [N] int64 after `step` agent steps.

        `values` returns the action values [N, A], with minus infinity for illegal actions. It is called
        only if a value is needed. `masks` [N, A] bool marks the legal actions; None: all are legal.
        """

    def _uniform(
        self, generator: np.random.Generator, num_envs: int, masks: np.ndarray | None
    ) -> np.ndarray:
        """Uniform draws [N] of the legal actions."""
        if masks is None:
            return generator.integers(self._num_actions, size=num_envs)
        return (generator.random(masks.shape) + masks).argmax(axis=1)

    @abc.abstractmethod
    def metrics(self, step: int) -> dict[str, float]:
        """Numbers that show how much the agent explores in training, after `step` agent steps."""

    def get_state(self) -> State:
        return {
            "train": generator_state(self._generators[False]),
            "eval": generator_state(self._generators[True]),
        }

    def set_state(self, state: State) -> None:
        restore_generator(self._generators[False], state["train"])
        restore_generator(self._generators[True], state["eval"])


@gin.configurable
class EpsilonGreedy(Exploration):
    """Takes a random action with probability epsilon, otherwise an action with the highest value.

    Ties between values are broken at random. Epsilon is 1 during the warm-up and falls afterward.

    Args:
      num_actions: A, the number of actions.
      warmup: agent steps before epsilon begins to fall from 1.
      seeds: gives one generator for training and one for evaluation.
      epsilon_train: the value to which epsilon falls in training.
      epsilon_eval: the value of epsilon in evaluation.
      epsilon_decay_period: the agent steps in which epsilon falls from 1 to `epsilon_train`, after the
        warm-up; 0: epsilon falls at once.
      epsilon_decay: how epsilon falls, "linear" or "exponential".
    """

    def __init__(
        self,
        num_actions: int,
        warmup: int,
        seeds: Seeds,
        *,
        epsilon_train: float = 0.01,
        epsilon_eval: float = 0.001,
        epsilon_decay_period: int = 250_000,
        epsilon_decay: str = "linear",
    ):
        super().__init__(num_actions, warmup, seeds)
        check_fraction("EpsilonGreedy", epsilon_train=epsilon_train, epsilon_eval=epsilon_eval)
        check_whole("EpsilonGreedy", least=0, epsilon_decay_period=epsilon_decay_period)
        if epsilon_decay not in _DECAYS:
            raise UserError(
                f"EpsilonGreedy.epsilon_decay is {epsilon_decay!r}: choose one of "
                f"{', '.join(_DECAYS)}."
            )
        if epsilon_decay == "exponential" and not epsilon_train > 0:
            raise UserError(
                f"EpsilonGreedy.epsilon_train is {epsilon_train}, which exponential decay never "
                'reaches: give a number above 0, or set EpsilonGreedy.epsilon_decay to "linear".'
            )
        self._decay = _DECAYS[epsilon_decay]
        self._epsilon_train = epsilon_train
        self._epsilon_eval = epsilon_eval
        self._period = epsilon_decay_period

    def epsilon(self, step: int, evaluate: bool = False) -> float:
        """Epsilon after `step` agent steps."""
        if evaluate:
            return self._epsilon_eval
        return self._decay(step, 1.0, self._epsilon_train, self._warmup, self._period)

    def choose(
        self,
        num_envs: int,
        values: Callable[[], np.ndarray],
        step: int,
        evaluate: bool,
        masks: np.ndarray | None = None,
    ) -> np.ndarray:
        generator = self._generators[evaluate]
        explores = generator.random(num_envs) < self._chances(num_envs, step, evaluate)
        if explores.all():
            return self._uniform(generator, num_envs, masks)
        actions = greedy(values(), generator)
        if explores.any():
            some = None if masks is None else masks[explores]
            actions[explores] = self._uniform(generator, int(explores.sum()), some)
        return actions

    def _chances(self, num_envs: int, step: int, evaluate: bool) -> float | np.ndarray:
        """The chance of a random action in each environment: one number for all, or [N]."""
        return self.epsilon(step, evaluate)

    def metrics(self, step: int) -> dict[str, float]:
        return {"epsilon": self.epsilon(step)}


@gin.configurable
class PerEnvironmentEpsilonGreedy(EpsilonGreedy):
    """Acts epsilon-greedily, with another epsilon in each environment (Horgan et al. 2018).

    This is the exploration of Ape-X. After a warm-up of random actions, environment i of N explores with
    epsilon ** (1 + alpha * i / (N - 1)) for the rest of training (section 4 of the paper). The first
    environment explores most, and the last one is almost greedy. With actors, the environments are
    numbered through all groups. The metric `epsilon` is the mean over the environments.

    Args:
      num_actions: A, the number of actions.
      warmup: agent steps of random actions at the start.
      seeds: gives one generator for training and one for evaluation.
      epsilon: the epsilon of the first environment, and of a single environment.
      alpha: how much smaller the epsilons of the other environments are. The last environment has
        epsilon ** (1 + alpha).
      epsilon_eval: the value of epsilon in evaluation, in all environments.
    """

    def __init__(
        self,
        num_actions: int,
        warmup: int,
        seeds: Seeds,
        *,
        epsilon: float = 0.4,
        alpha: float = 7.0,
        epsilon_eval: float = 0.001,
    ):
        check_fraction("PerEnvironmentEpsilonGreedy", epsilon=epsilon, epsilon_eval=epsilon_eval)
        check_positive("PerEnvironmentEpsilonGreedy", alpha=alpha)
        super().__init__(num_actions, warmup, seeds, epsilon_eval=epsilon_eval)
        self._base, self._alpha = epsilon, alpha

    def epsilon(self, step: int, evaluate: bool = False) -> float:
        """The mean of the environments' epsilons after `step` agent steps."""
        if evaluate:
            return self._epsilon_eval
        return 1.0 if step < self._warmup else float(self._epsilons()[1].mean())

    def _chances(self, num_envs: int, step: int, evaluate: bool) -> float | np.ndarray:
        if evaluate or step < self._warmup:
            return self.epsilon(step, evaluate)
        first, epsilons = self._epsilons()
        return epsilons[first : first + num_envs]

    def _epsilons(self) -> tuple[int, np.ndarray]:
        """The number of the first environment here, and the epsilons [N] of all environments."""
        if self._environments is None:
            raise UserError(
                "PerEnvironmentEpsilonGreedy does not know its environments: the agent that makes it "
                "must call `act_in(spec.first_env, spec.num_envs)`."
            )
        first, total = self._environments
        return first, self._base ** (1 + self._alpha * np.arange(total) / max(total - 1, 1))


@gin.configurable
class Boltzmann(Exploration):
    """Draws actions from softmax(Q / temperature), but uniformly during the warm-up.

    Args:
      num_actions: A, the number of actions.
      warmup: agent steps of uniform actions at the start.
      seeds: gives one generator for training and one for evaluation.
      temperature_train: the temperature in training, above 0, in units of the action values.
      temperature_eval: the temperature in evaluation; 0: the agent takes the action with the highest
        value and breaks ties at random.
    """

    def __init__(
        self,
        num_actions: int,
        warmup: int,
        seeds: Seeds,
        *,
        temperature_train: float = 1.0,
        temperature_eval: float = 0.0,
    ):
        super().__init__(num_actions, warmup, seeds)
        check_number(
            "Boltzmann", temperature_train=temperature_train, temperature_eval=temperature_eval
        )
        if not (temperature_train > 0 and temperature_eval >= 0):
            raise UserError(
                f"Boltzmann's temperatures are {temperature_train} in training and {temperature_eval} "
                "in evaluation: give a number above 0 for training, and 0 or more for evaluation."
            )
        self._temperatures = {False: temperature_train, True: temperature_eval}

    def choose(
        self,
        num_envs: int,
        values: Callable[[], np.ndarray],
        step: int,
        evaluate: bool,
        masks: np.ndarray | None = None,
    ) -> np.ndarray:
        generator, temperature = self._generators[evaluate], self._temperatures[evaluate]
        if step < self._warmup and not evaluate:
            return self._uniform(generator, num_envs, masks)
        if temperature == 0:
            return greedy(values(), generator)
        # The greatest of the logits plus Gumbel noise is distributed as their softmax.
        return (
            values() / temperature + generator.gumbel(size=(num_envs, self._num_actions))
        ).argmax(1)

    def metrics(self, step: int) -> dict[str, float]:
        return {"temperature": self._temperatures[False]}


def made_exploration(
    owner: str,
    exploration: Callable[[int, int, Seeds], Exploration],
    num_actions: int,
    warmup: int,
    seeds: Seeds,
    first_env: int,
    num_envs: int,
) -> Exploration:
    """The exploration of the agent called `owner`, which knows the environments it acts in.

    Raises:
      UserError: `exploration` makes something else.
    """
    made = exploration(num_actions, warmup, seeds)
    checked_part(owner, "exploration", made, Exploration)
    if hasattr(made, "act_in"):  # not every class of users is a subclass of Exploration
        made.act_in(first_env, num_envs)
    return made
