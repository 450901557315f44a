"""The names of TensorBoard's curves, their descriptions, and the curves that come first."""

from __future__ import annotations

import ast
from collections.abc import Mapping

from dopamine_lite.configuration.comparison import may_change

# A group whose name comes before "eval" and "train", with numbered curves: TensorBoard sorts groups and
# curves alphabetically.
GLANCE = "at_a_glance"
_EVALUATION, _TRAINING = "1_evaluation_return", "2_training_return"
# From each tuple, the first metric that an agent logs is shown at a glance, under its own name.
_OF_AGENTS = (
    ("3", ("loss", "policy_loss", "td_error")),
    ("4", ("epsilon", "temperature", "entropy")),
    ("5", ("learning_rate",)),
)
_SPEED = "6_steps_per_second"
_SHOWN = {_EVALUATION: "eval/average_return", _TRAINING: "train/recent_return"}

_OF_METRICS = {
    "actor_learning_rate": "The learning rate of SAC's policy at the next update.",
    "beta": "The exponent of prioritized replay's importance weights.",
    "clip": "PPO's clipping range epsilon, which may fall with the agent steps.",
    "clip_fraction": "The share of samples whose ratio was outside PPO's clipping range.",
    "critic_learning_rate": "The learning rate of SAC's critics at the next update.",
    "critic_loss": "The mean loss of SAC's critics, summed over both.",
    "entropy": "Mean entropy of the policy, in nats, over the states that were learned from.",
    "epsilon": "Probability of a random action in training, as the mean over the environments.",
    "explained_variance": "1 - Var[return - value] / Var[return]: 1 for a perfect critic, 0 for a "
    "critic that knows only the mean.",
    "frames_bytes": "Memory that the frames of a compressed replay take, in bytes.",
    "gradient_norm": "Global norm of the gradients before it is limited, over the gradient steps.",
    "kl": "Kullback-Leibler divergence KL(pi_old, pi), in nats; pi_old is the policy that acted.",
    "kl_coefficient": "Weight of the divergence in PPO's adaptive penalty.",
    "learning_rate": "The optimizer's learning rate at the next update.",
    "loss": "The mean loss of the agent's updates since the last point.",
    "max_priority": "The greatest priority so far (to the power alpha), which new transitions get.",
    "passes": "Passes over the rollout before PPO stopped.",
    "policy_loss": "The policy's part of the loss.",
    "q_mean": "Mean of the value estimates that were learned from.",
    "q_values": "Distribution of the action values that the agent acted by or, of a tabular agent, of "
    "its whole table.",
    "steps_per_second": "Agent steps per second in training, by the clock, so equal runs differ in it.",
    "td_error": "Mean absolute TD error of the table's updates.",
    "temperature": "Boltzmann exploration: the temperature of the softmax that actions are drawn from "
    "in training. SAC: alpha, the weight of the policy's entropy.",
    "temperature_learning_rate": "The learning rate of SAC's temperature at the next update.",
    "value_loss": "The critic's part of the loss.",
    "recent_return": "Mean raw return of the last 10 whole training episodes of this iteration.",
}
_OF_EPISODES = {
    "average_length": "Mean agent steps of an episode",
    "average_return": "Mean raw return",
    "cut_episodes": "Episodes that a segment's end cut (other statistics leave them out)",
    "episodes": "Whole episodes",
    "median_return": "Median raw return",
}
_OF_TIME = {
    "act": "choosing actions in training",
    "checkpoint": "checkpoints",
    "compile": "compiling the agent's calls, which is done once in a process",
    "environment": "making, resetting and stepping the environments of training",
    "evaluation": "the evaluation, including the choice of actions and the environments' steps",
    "log": "logs, TensorBoard, the console and callbacks",
    "other": "everything else, such as the start of the run and statistics of episodes",
    "sample": "sampling from the replay",
    "store": "storing the steps that were played",
    "update": "gradient steps and all other learning of the agent",
}
_PHASES = {
    "train": "in the iteration's training, by the policy that explores",
    "eval": "in the evaluation after the iteration, by the evaluation policy",
}


def description(tag: str) -> str:
    """A sentence on what the curve `tag` shows; empty if only the agent knows."""
    group, _, name = tag.partition("/")
    if group == GLANCE:
        return description(_SHOWN.get(name, f"train/{name.partition('_')[2]}"))
    if group in _PHASES and name in _OF_EPISODES:
        return f"{_OF_EPISODES[name]} {_PHASES[group]}."
    if group in _PHASES and name.startswith("info_"):
        info = name.removeprefix("info_")
        return f"Mean of info['{info}'] at an episode's end, over the episodes {_PHASES[group]}."
    if group == "time":
        return f"Share of the iteration's time that went to {_OF_TIME.get(name, name)}."
    return _OF_METRICS.get(name, "")


def at_a_glance(
    metrics: Mapping[str, float], recent_return: float | None, steps_per_second: float
) -> dict[str, float]:
    """The numbers to show first for a point in training, by tag.

    Args:
      metrics: the agent's metrics.
      recent_return: the mean return of the last training episodes; None if none has ended.
      steps_per_second: agent steps per second of training since the last point.
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
    """The entries of a configuration in the table of hyperparameters.

    It leaves out the seed, so that the table groups the seeds of one configuration. It also leaves out
    settings that may change in a run, its callbacks, and everything that is not a setting.

    Args:
      settings: gin text of each value by its binding, from `configuration.statements`.
    """
    return {
        name: plain(value)
        for name, value in settings.items()
        if value and "." in name and name not in _NO_HYPERPARAMETERS and not may_change(name)
    }


_NO_HYPERPARAMETERS = ("Runner.seed", "Runner.callbacks")


def plain(text: str) -> bool | float | str:
    """The value of a number, True, False or a text; for others, such as references, the gin text."""
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text
    return value if isinstance(value, bool | int | float | str) else text
