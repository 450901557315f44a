"""Values and policies of small, fully known environments by dynamic programming, in NumPy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import gymnasium
import numpy as np

from dopamine_lite.environments.grid_world import GridWorld

_PROBABILITY = 1e-9  # smaller probabilities are rounding errors of zero
_TIE = 1e-9  # actions whose values differ by less are equally good; relative for values above 1


class Model(NamedTuple):
    """A finite Markov decision process known in full (Sutton and Barto 2018, sections 3.1 to 3.3).

    There are S states and A actions. The transitions include the ends of episodes: if the probabilities
    in a row sum to less than 1, the rest is the probability that the episode terminates, and nothing is
    bootstrapped from there. An absorbing state with rewards of 0 has the same effect.
    """

    transitions: np.ndarray  # [S, A, S'] float64: p(s' | s, a) of steps that do not end the episode
    # [S, A] float64: r(s, a), the expectation over all outcomes, ends included (eq. 3.5)
    rewards: np.ndarray
    terminal: np.ndarray  # [S] bool: end states; their transitions and rewards are all 0


def model_of(env: gymnasium.Env) -> Model:
    """The model of a `GridWorld` or of one of Gymnasium's toy-text environments.

    FrozenLake-v1, CliffWalking-v1 and Taxi-v4 hold their model in `env.unwrapped.P`, except for Taxi's
    fickle passenger. The model ignores wrappers, so it has no limit on the steps of an episode.

    Raises:
      ValueError: the environment does not give its transition probabilities.
    """
    world: Any = env.unwrapped
    if isinstance(world, GridWorld):
        transitions, rewards = world.transition_matrix(), world.reward_matrix()
        transitions[:, :, world.goal] = 0
        return Model(transitions, rewards, np.arange(len(rewards)) == world.goal)
    if not isinstance(getattr(world, "P", None), Mapping):
        raise ValueError(
            f"{world} does not give its transition probabilities: it is not a GridWorld, and it "
            "has no table P like that of FrozenLake-v1."
        )
    return _model_of_table(world.P)


def value_iteration(
    model: Model, gamma: float, tolerance: float = 1e-10, max_sweeps: int = 100_000
) -> np.ndarray:
    """Optimal values v*, by sweeps of every state at once (section 4.4, eq. 4.10).

    Args:
      model: a model with S states.
      gamma: discount per step, from 0 to 1.
      tolerance: sweeps end once a sweep changes no value by more than this. If gamma is below 1, the
        values are then within tolerance * gamma / (1 - gamma) of v*.
      max_sweeps: the largest number of sweeps.

    Returns:
      [S] float64, in units of the rewards.

    Raises:
      ValueError: gamma is out of range, gamma is 1 and episodes need not end (see `policy_evaluation`),
        or `max_sweeps` is too small. If gamma is 1 and rewards can be collected forever, no number of
        sweeps is enough.
    """
    _check(model, gamma)
    if gamma == 1:
        _earning(*_under(model, _random_policy(model)), gamma)
    values = np.zeros(len(model.rewards))
    for _ in range(max_sweeps):
        old, values = values, action_values(model, values, gamma).max(1)
        if np.abs(values - old).max() <= tolerance:
            return values
    raise ValueError(
        f"Values still change by more than {tolerance} after {max_sweeps:,} sweeps: raise max_sweeps or "
        f"tolerance, or lower gamma ({gamma})."
    )


def policy_evaluation(model: Model, policy: np.ndarray, gamma: float) -> np.ndarray:
    """The policy's values v_pi, the exact solution of Bellman's equation (section 4.1, eq. 4.4).

    If gamma is 1, there is a solution only if, from each state, the policy's episodes end with
    probability 1 or reach states after which every reward is 0.

    Args:
      model: a model with S states and A actions.
      policy: [S, A] pi(a | s); each row sums to 1.
      gamma: discount per step, from 0 to 1.

    Returns:
      [S] float64, in units of the rewards.

    Raises:
      ValueError: gamma is out of range, or gamma is 1 and there is no solution. The message names a
        state.
    """
    _check(model, gamma)
    assert policy.shape == model.rewards.shape and np.allclose(policy.sum(1), 1)
    transitions, rewards = _under(model, policy)
    earning = _earning(transitions, rewards, gamma)
    values = np.zeros(len(rewards))
    among = transitions[np.ix_(earning, earning)]
    values[earning] = np.linalg.solve(np.eye(len(among)) - gamma * among, rewards[earning])
    return values


def policy_iteration(model: Model, gamma: float) -> tuple[np.ndarray, np.ndarray]:
    """An optimal policy and its exact values v* (section 4.3).

    Evaluation and improvement alternate, from the equiprobable random policy on, until improvement keeps
    every action of the policy. Policies give all best actions the same probability. That way they never
    cycle between equally good actions (exercise 4.4), and with gamma 1 every policy can still reach an
    end.

    Returns:
      Values [S] float64 and the policy [S, A] float64, as `greedy_policy` returns it.

    Raises:
      ValueError: gamma is out of range, or gamma is 1 and episodes need not end (see
        `policy_evaluation`) or rewards can be collected forever.
    """
    _check(model, gamma)
    policy = _random_policy(model)
    while True:
        values = policy_evaluation(model, policy, gamma)
        improved = greedy_policy(model, values, gamma)
        if not ((policy > 0) & (improved == 0)).any():
            return values, improved
        policy = improved


def greedy_policy(model: Model, values: np.ndarray, gamma: float) -> np.ndarray:
    """[S, A] float64: pi(a | s), the same for each of the best actions by `values` [S] (eq. 4.9).

    All actions with a probability above 0 are best actions. Two actions tie if their values differ by at
    most 1e-9, or by 1e-9 of the value if that is larger than 1.
    """
    q = action_values(model, values, gamma)
    best = q.max(1, keepdims=True)
    ties = q >= best - _TIE * np.maximum(1, np.abs(best))
    return ties / ties.sum(1, keepdims=True)


def action_values(model: Model, values: np.ndarray, gamma: float) -> np.ndarray:
    """[S, A] float64: q(s, a) = r(s, a) + gamma sum_s' p(s' | s, a) v(s'), for v [S] (eq. 4.6)."""
    assert values.shape == model.terminal.shape
    return model.rewards + gamma * model.transitions @ values


def _model_of_table(table: Mapping[int, Mapping[int, list]]) -> Model:
    """The model of {state: {action: [(probability, next state, reward, terminated), ...]}}."""
    shape = len(table), len(table[0])
    going, ending = np.zeros((*shape, len(table))), np.zeros((*shape, len(table)))
    rewards = np.zeros(shape)
    for state, actions in table.items():
        for action, outcomes in actions.items():
            for probability, successor, reward, terminated in outcomes:
                (ending if terminated else going)[state, action, successor] += probability
                rewards[state, action] += probability * reward
    entered = np.any(going, axis=1)
    np.fill_diagonal(entered, False)
    # The tables have rows for end states, too, some as if the episode went on from there. Taxi's ends
    # are not such states: its table also enters their states in the middle of an episode.
    terminal = np.any(ending, axis=(0, 1)) & ~np.any(entered, axis=0)
    going[terminal], rewards[terminal] = 0, 0
    return Model(going, rewards, terminal)


def _check(model: Model, gamma: float) -> None:
    states, actions = model.rewards.shape
    assert model.transitions.shape == (states, actions, states)
    assert model.terminal.shape == (states,)
    if not 0 <= gamma <= 1:
        raise ValueError(f"gamma is {gamma}: give a number from 0 to 1.")


def _random_policy(model: Model) -> np.ndarray:
    return np.full(model.rewards.shape, 1 / model.rewards.shape[1])


def _under(model: Model, policy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """p(s' | s) [S, S'] and r(s) [S] under a policy."""
    transitions = np.einsum("sa,sat->st", policy, model.transitions, optimize=True)
    return transitions, (policy * model.rewards).sum(1)


def _earning(transitions: np.ndarray, rewards: np.ndarray, gamma: float) -> np.ndarray:
    """[S] bool: whether nonzero rewards may follow; checks that values are finite."""
    earning = _leading_to(transitions, rewards != 0)
    ends = 1 - transitions.sum(1) > _PROBABILITY
    endless = ~_leading_to(transitions, ends | ~earning)
    if gamma == 1 and endless.any():
        raise ValueError(
            f"With gamma = 1, state {endless.argmax()} has no value: an episode that starts there "
            "never ends, and its rewards are not all 0. Lower gamma, or change the policy or the "
            "model."
        )
    return earning


def _leading_to(transitions: np.ndarray, states: np.ndarray) -> np.ndarray:
    """[S] bool: the states from which `states` [S] bool can be reached, including themselves."""
    possible = transitions > 0
    reached = states
    while True:
        more = reached | possible[:, reached].any(1)
        if (more == reached).all():
            return reached
        reached = more
