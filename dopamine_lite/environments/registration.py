"""The Gymnasium ids of the environments that come with this package."""

from __future__ import annotations

from typing import Any

import gymnasium

_ENVIRONMENTS: dict[str, dict[str, Any]] = {
    "GridWorld-v0": {
        "entry_point": "dopamine_lite.environments.grid_world:GridWorld",
        "vector_entry_point": "dopamine_lite.environments.grid_world:GridWorldVector",
        # A random walk takes 466 steps on average to cross the default grid, and never this many. On 20
        # x 20 cells, one walk in thirty does.
        "max_episode_steps": 10_000,
    },
    "MaximisationBias-v0": {
        "entry_point": "dopamine_lite.environments.maximisation_bias:MaximisationBias",
        "max_episode_steps": 100,  # legal actions take two steps
    },
    "RocketLander-v0": {
        "entry_point": "dopamine_lite.environments.rocket_lander:RocketLander",
        "max_episode_steps": 800,  # 16 seconds; a good landing takes 11
    },
}


def register() -> None:
    """Registers the ids that Gymnasium does not know yet; imports none of the environments."""
    for id, options in _ENVIRONMENTS.items():
        if id not in gymnasium.registry:
            gymnasium.register(id, **options)


# On import, because Gymnasium has no plugins since 1.0, but imports the module that an id names:
# gymnasium.make("dopamine_lite.environments.registration:GridWorld-v0").
register()
