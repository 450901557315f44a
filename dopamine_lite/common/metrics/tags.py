"""What TensorBoard's curves are called and what they show; which of them it shows first."""

from __future__ import annotations

import ast
from collections.abc import Mapping

# A group whose name comes before "eval" and "train", and curves in it that are numbered: TensorBoard
# orders both by the alphabet.
GLANCE = "at_a_glance"
_EVALUATION, _TRAINING = "1_evaluation_return", "2_training_return"
# Of each, the first that an agent logs is shown at a glance, under its own name.
_OF_AGENTS = (
    ("3", ("loss", "policy_loss", "td_error")),
    ("4", ("epsilon", "temperature", "entropy")),
    ("5", ("learning_rate",)),
)
_SPEED = "6_steps_per_second"
_SHOWN = {_EVALUATION: "eval/average_return", _TRAINING: "train/recent_return"}

_OF_METRICS = {
    "beta": "The exponent of prioritized replay's importance weights.",
    "clip": "PPO's clipping range epsilon, which may fall with the agent steps.",
    "clip_fraction": "The share of samples whose ratio was outside of PPO's clipping range.",
    "entropy": "Entropy of the policy, in nats, mean over the states that were learned from.",
    "epsilon": "Probability of a random action in training.",
    "explained_variance": "1 - Var[return - value] / Var[return]: 1 is a perfect critic, 0 one that "
    "knows only the mean.",
    "kl": "Kullback-Leibler divergence from the policy that acted to the one that learned.",
    "kl_coefficient": "Weight of the divergence in PPO's adaptive penalty.",
    "learning_rate": "The optimiser's learning rate at the next update.",
    "loss": "The loss of the agent's updates, mean over those since the last point.",
    "max_priority": "The greatest priority in the replay, which new transitions get.",
    "passes": "Passes over the rollout before PPO stopped.",
    "policy_loss": "The policy's part of the loss.",
    "q_mean": "Mean of the value estimates that were learned from.",
    "q_values": "Distribution of the value estimates that were learned from.",
    "steps_per_second": "Agent steps a second in training, by the clock: differs between equal runs.",
    "td_error": "Mean absolute TD error of the table's updates.",
    "temperature": "Temperature of the softmax that actions are drawn from in training.",
    "value_loss": "The critic's part of the loss.",
    "recent_return": "Mean raw return of the last 10 whole training episodes of this iteration.",
}
_OF_EPISODES = {
    "average_length": "Mean agent steps of an episode",
    "average_return": "Mean raw return",
    "cut_episodes": "Episodes that a segment's end cut; they count in no statistic",
    "episodes": "Whole episodes",
    "median_return": "Median raw return",
}
_PHASES = {
    "train": "of the iteration's training, by the policy that explores",
    "eval": "of the evaluation after the iteration, by the evaluation policy",
}


def description(tag: str) -> str:
    """What the curve called `tag` shows, as a sentence; empty where only its agent knows."""
    group, _, name = tag.partition("/")
    if group == GLANCE:
        return description(_SHOWN.get(name, f"train/{name.partition('_')[2]}"))
    if group in _PHASES and name in _OF_EPISODES:
        return f"{_OF_EPISODES[name]}, {_PHASES[group]}."
    if group in _PHASES and name.startswith("info_"):
        info = name.removeprefix("info_")
        return f"info['{info}'] at an episode's end, mean over the episodes {_PHASES[group]}."
    return _OF_METRICS.get(name, "")


def at_a_glance(
    metrics: Mapping[str, float], recent_return: float | None, steps_per_second: float
) -> dict[str, float]:
    """What of a point in training is shown first, by tag.

    Args:
      metrics: the agent's.
      recent_return: of the last training episodes.
      steps_per_second: of training, since the point before.
    """
    shown = {} if recent_return is None else {_TRAINING: recent_return}
    for number, names in _OF_AGENTS:
        name = next((name for name in names if name in metrics), None)
        if name is not None:
            shown[f"{number}_{name}"] = metrics[name]
    shown[_SPEED] = steps_per_second
    return {f"{GLANCE}/{name}": value for name, value in shown.items()}


def evaluation_at_a_glance(average_return: float) -> dict[str, float]:
    """The mean raw return of an evaluation, by tag."""
    return {f"{GLANCE}/{_EVALUATION}": average_return}


def hyperparameters(settings: Mapping[str, str]) -> dict[str, bool | float | str]:
    """What the table of hyperparameters shows of a configuration.

    Left out are the seed, so that the table groups the seeds of one configuration, the run's length,
    its callbacks, and what is no setting.

    Args:
      settings: gin text of each value by its binding, from `configuration.statements`.
    """
    return {
        name: plain(value)
        for name, value in settings.items()
        if value and "." in name and name not in _NO_HYPERPARAMETERS
    }


_NO_HYPERPARAMETERS = ("Runner.seed", "Runner.num_iterations", "Runner.callbacks")


def plain(text: str) -> bool | float | str:
    """A number, True, False or a text as it is; anything else, such as a reference, as gin text."""
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text
    return value if isinstance(value, bool | int | float | str) else text
