"""The layers inside a Gymnasium environment: limits, and statistics that a run cannot keep."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gymnasium

_ENVIRONMENTS = gymnasium.Env | gymnasium.vector.VectorEnv
_MOMENTS = {"mean", "var", "count"}
_SETTINGS = {  # the agents' settings that replace such statistics
    "observations": "PPOAgent.normalize_observations (or ReinforceAgent's) = True",
    "rewards": "PPOAgent.normalize_rewards = True",
}


def own_limit(env: gymnasium.Env) -> int | None:
    """The lowest limit on the steps of an episode; None if there is no limit."""
    limits = []
    while isinstance(env, gymnasium.Wrapper):
        if isinstance(env, gymnasium.wrappers.TimeLimit):
            limits.append(env._max_episode_steps)
        env = env.env
    return min(limits, default=None)


def notes_on_memory(id: str, env: Any) -> tuple[str, ...]:
    """A message for each wrapper whose running statistics start over with the environment.

    An environment is made anew for every segment of a run and every evaluation (see `Environment`).
    """
    notes = [
        f"{id} has {type(layer).__name__} inside, whose running statistics begin anew in every "
        "segment and every evaluation, so the agent is evaluated with different numbers from those "
        f"it learned from. Leave it out and set {_setting(layer)}: the agent then keeps the "
        "statistics itself, saves them, and uses the same ones in evaluation."
        for layer in _inside(env)
        if _has_running_statistics(layer)
    ]
    return tuple(dict.fromkeys(notes))


def _inside(env: Any) -> Iterator[Any]:
    """The environment and all environments inside it, wrapped, in a vector or in any other way."""
    waiting, seen = [env], set()
    while waiting:
        layer = waiting.pop()
        if id(layer) in seen:
            continue
        seen.add(id(layer))
        yield layer
        for value in list(vars(layer).values()):
            held = value if isinstance(value, list | tuple) else [value]
            waiting += [other for other in held if isinstance(other, _ENVIRONMENTS)]


def _has_running_statistics(layer: Any) -> bool:
    """Whether the layer has moments that it keeps updating.

    Gymnasium's RunningMeanStd, and similar classes elsewhere, have a mean, a var and a count.
    """
    if not getattr(layer, "update_running_mean", True):
        return False  # they are fixed, for example from an earlier run
    held = [value for value in vars(layer).values() if not isinstance(value, _ENVIRONMENTS)]
    return vars(layer).keys() >= _MOMENTS or any(
        all(_is_data(value, name) for name in _MOMENTS) for value in held
    )


def _is_data(value: Any, name: str) -> bool:
    return hasattr(value, name) and not callable(getattr(value, name))


def _setting(layer: Any) -> str:
    normalizes_rewards = isinstance(
        layer, gymnasium.wrappers.NormalizeReward | gymnasium.wrappers.vector.NormalizeReward
    )
    of_rewards = normalizes_rewards or "reward" in type(layer).__name__.lower()
    return _SETTINGS["rewards" if of_rewards else "observations"]
