"""A few updates of an agent on a device; run as a program with the device, the case and a file.

The file, an .npz, gets the agent's metrics, which are means over the updates, and its parameters.
"""

from __future__ import annotations

import sys
from typing import Any

from dopamine_lite.configuration.devices import tensorflow_devices
from dopamine_lite.configuration.tensorflow_setup import import_tensorflow, tensorflow_threads

import_tensorflow()
DEVICE, CASE, OUTPUT = sys.argv[1:]
tensorflow_devices(DEVICE)
tensorflow_threads(1)

import numpy as np
import tensorflow as tf

from dopamine_lite.common.seeding import Seeds
from tests.agents import continuous
from tests.agents.tiny import Identity, spec
from tests.learning.agents import AGENTS


def learned() -> tuple[Any, list[Any]]:
    """The agent of the case after it has learned, and its variables."""
    if CASE == "sac":
        agent = continuous.build()
        continuous.Reach().play(agent, 16)
        actor, critics, *_ = agent.learner.parts
        return agent, [*actor.variables, *critics.variables]
    agent = AGENTS[CASE](spec(num_envs=2), Seeds(0))
    Identity(2).play(agent, 20)  # two updates, or one rollout
    has_parts = hasattr(agent.learner, "parts")
    return agent, (agent.learner.parts.network if has_parts else agent._network).variables


if __name__ == "__main__":
    tf.config.experimental.enable_tensor_float_32_execution(False)
    agent, variables = learned()
    told = {name: value for name, value in agent.metrics().items() if np.ndim(value) == 0}
    kind = "GPU" if DEVICE.startswith("gpu") else "CPU"
    assert all(kind in variable.device for variable in variables), variables[0].device
    parameters = np.concatenate([variable.numpy().ravel() for variable in variables])
    np.savez(OUTPUT, parameters=parameters, **told)
