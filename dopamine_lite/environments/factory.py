"""Any environment by its id."""

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
    """N environments of the kind that is registered with Gymnasium as `id`.

    An id such as "ALE/Pong-v5" is an Atari game, which is played by the protocol that is bound to
    `AtariEnvironment`, whatever the version in the id. For every other id, several environments are
    stepped by their own vector implementation if they have one that resets within the step that ends an
    episode, and otherwise in a loop.

    Args:
      id: the environment's id, such as "CartPole-v1", or "module:id" if a module has to be imported that
        registers it.
      num_envs: N, the number of environments.
      seed: the seed from which each environment gets its own.
      max_steps_per_episode: agent steps after which an episode is truncated, instead of the limit that
        the environment is registered with; None: the registered limit, or 27,000 for Atari games. A
        lower limit inside the environment itself still holds.
      render: draw the first environment.
      evaluate: follow the protocol of evaluation.
      kwargs: options of the environment, passed to `gymnasium.make`, such as {"rows": 5, "columns": 5}.
    """
    if id.startswith("ALE/"):
        if kwargs:
            raise UserError(
                f"create_environment.kwargs is {kwargs!r}, but {id} takes none: bind the parameters of "
                "AtariEnvironment instead."
            )
        return AtariEnvironment(num_envs, seed, max_steps_per_episode, render, evaluate, game=id)
    registered = find(id)
    if registered.entry_point == "ale_py.env:AtariEnv":
        raise UserError(
            f"{id} stands for an Atari game with a protocol of its own, but the protocol here is set on "
            f"AtariEnvironment: write 'ALE/{game_name(registered.kwargs['game'])}-v5'."
        )
    if num_envs > 1 and not render:
        native = native_vector_environment(id, num_envs, seed, max_steps_per_episode, kwargs)
        if native is not None:
            return native
    return GymnasiumEnvironment(id, num_envs, seed, max_steps_per_episode, render, evaluate, kwargs)
