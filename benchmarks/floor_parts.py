"""What the floors share: environments, Adam's kernel, a flat vector of parameters cut into arrays."""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from dopamine_lite.configuration.tensorflow_setup import import_tensorflow

import_tensorflow()  # without its banner; so before Keras, which imports it too

import ale_py.vector_env
import gymnasium
import numpy as np
import tensorflow as tf


class Step(NamedTuple):
    """One step of N environments; `observations` are a new episode's first where one ended."""

    observations: np.ndarray  # [N, ...]
    rewards: np.ndarray  # [N]
    terminated: np.ndarray  # [N] bool
    truncated: np.ndarray  # [N] bool
    final: dict[int, np.ndarray] | np.ndarray  # last observations of episodes that ended


class CartPole:
    """N CartPoles; observations [N, 4]."""

    def __init__(self, num_envs: int):
        self.envs = [
            gymnasium.make("CartPole-v1", disable_env_checker=True) for _ in range(num_envs)
        ]

    def reset(self) -> np.ndarray:
        return np.array([env.reset(seed=index)[0] for index, env in enumerate(self.envs)])

    def step(self, actions: np.ndarray) -> Step:
        observations, rewards, terminated, truncated, final = [], [], [], [], {}
        for env, action in zip(self.envs, actions.tolist(), strict=True):
            observation, reward, ended, cut, _ = env.step(action)
            if ended or cut:
                final[len(observations)] = observation
                observation, _ = env.reset()
            observations.append(observation)
            rewards.append(reward)
            terminated.append(ended)
            truncated.append(cut)
        columns = observations, rewards, terminated, truncated
        return Step(*map(np.array, columns), final)


class Pong:
    """N Pongs of ale_py's vector environment; observations [N, 4, 84, 84] uint8."""

    def __init__(self, num_envs: int, **options: Any):
        self.envs = ale_py.vector_env.AtariVectorEnv(
            "pong",
            num_envs,
            reward_clipping=False,
            autoreset_mode=gymnasium.vector.AutoresetMode.SAME_STEP,
            **options,
        )

    def reset(self) -> np.ndarray:
        return self.envs.reset(seed=0)[0]

    def step(self, actions: np.ndarray) -> Step:
        *columns, info = self.envs.step(actions)
        return Step(*columns, info.get("final_obs", {}))


def adam(
    parameters: Sequence[tf.Variable], epsilon: float
) -> Callable[[Sequence[tf.Tensor], Any], None]:
    """A function that takes one step down gradients at a learning rate, by TensorFlow's kernel."""
    slots = [(tf.Variable(tf.zeros_like(p)), tf.Variable(tf.zeros_like(p))) for p in parameters]
    powers = [tf.Variable(0.9), tf.Variable(0.999)]

    def apply(gradients: Sequence[tf.Tensor], learning_rate: Any) -> None:
        for p, (m, v), g in zip(parameters, slots, gradients, strict=True):
            tf.raw_ops.ResourceApplyAdam(
                var=p.handle, m=m.handle, v=v.handle, beta1_power=powers[0], beta2_power=powers[1],
                lr=learning_rate, beta1=0.9, beta2=0.999, epsilon=epsilon, grad=g,
            )  # fmt: skip
        powers[0].assign(powers[0] * 0.9)
        powers[1].assign(powers[1] * 0.999)

    return apply


def flat(parameters: Sequence[tf.Variable]) -> tf.Tensor:
    """All parameters in one vector."""
    return tf.concat([tf.reshape(p, [-1]) for p in parameters], axis=0)


def splitter(parameters: Sequence[tf.Variable]) -> Callable[[np.ndarray], list[np.ndarray]]:
    """A function from what `flat` returned, in NumPy, to arrays of the shapes of `parameters`."""
    shapes = [tuple(p.shape) for p in parameters]
    ends = np.cumsum([int(np.prod(shape)) for shape in shapes])

    def split(vector: np.ndarray) -> list[np.ndarray]:
        parts = np.split(vector, ends[:-1])
        return [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]

    return split


@tf.function(jit_compile=True)
def scaled(frames: tf.Tensor) -> tf.Tensor:
    """[B, frames, 84, 84] uint8 -> [B, 84, 84, frames] float32 in [0, 1].

    By XLA within any graph, as in the framework: TensorFlow's own kernels take many times as long.
    """
    return tf.cast(tf.transpose(frames, [0, 2, 3, 1]), tf.float32) / 255.0
