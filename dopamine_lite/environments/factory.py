"""One way to any environment: by its id."""

from __future__ import annotations

from typing import Any

import gin

import dopamine_lite.environments.registration  # noqa: F401  # makes the package's own ids known
from dopamine_lite.common.errors import UserError
from dopamine_lite.environments.atari_environment import AtariEnvironment, game_name
from dopamine_lite.environments.environment import Environment
from dopamine_lite.environments.gymnasium_environment import (
    GymnasiumEnvironment,
    find,
    native_vector_environment,
)


@gin.configurable
def create_environment(
    id: str = gin.REQUIRED,
    num_envs: int = 1,
    seed: int = 0,
    max_steps_per_episode: int | None = None,
    render: bool = False,
    evaluate: bool = False,
    kwargs: dict[str, Any] | None = None,
) -> Environment:
    """N streams of the environment `id`.

    "ALE/Pong-v5" and its like are Atari games, played by the protocol that is bound to
    `AtariEnvironment`, whatever the version says. Every other id is Gymnasium's: its own vector
    implementation where there is one that fits (see `native_vector_environment`), else a loop.

    Args:
      id: such as "CartPole-v1", or "module:id" for one that the module registers.
      num_envs: N.
      seed: each stream gets a seed of its own from it.
      max_steps_per_episode: agent steps after which an episode is truncated, if the environment's
        own limit is not lower.
      render: draw stream 0.
      evaluate: play by the protocol of evaluation.
      kwargs: options of the environment, passed to `gymnasium.make`: {"rows": 5, "columns": 5}.
    """
    if id.startswith("ALE/"):
        if kwargs:
            raise UserError(
                f"create_environment.kwargs is {kwargs!r} and {id} takes none: bind the parameters of "
                "AtariEnvironment."
            )
        return AtariEnvironment(num_envs, seed, max_steps_per_episode, render, evaluate, game=id)
    registered = find(id)
    if registered.entry_point == "ale_py.env:AtariEnv":
        raise UserError(
            f"{id} is an Atari game by a name that stands for another protocol than the one bound to "
            f"AtariEnvironment: write 'ALE/{game_name(registered.kwargs['game'])}-v5'."
        )
    if num_envs > 1 and not render:
        native = native_vector_environment(id, num_envs, seed, max_steps_per_episode, kwargs)
        if native is not None:
            return native
    return GymnasiumEnvironment(id, num_envs, seed, max_steps_per_episode, render, evaluate, kwargs)
