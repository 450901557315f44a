"""The floor: DQN's calls in DQN's order with nothing around them, to measure the framework against.

Environment, act, add, sample, update: the same environments, networks, sizes and kernels as
`dqn/cartpole.gin` and `dqn/atari.gin`, without statistics, logs, checkpoints, schedules or the care
that ends of episodes need. `python benchmarks/floor.py pong 8 20000` prints agent steps per second.
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import sys
import time

from dopamine_lite.common.tensorflow_setup import import_tensorflow, tensorflow_threads

import_tensorflow()  # without its banner; so before Keras, which imports it too

import ale_py.vector_env
import gymnasium
import keras
import numpy as np
import tensorflow as tf

GAMMA, EPSILON, SLOTS = 0.99, 0.05, 30_000
SETTINGS = {  # hidden units, batch, agent steps between updates, updates each time, learning rate
    "cartpole": ((256, 256), 64, 256, 256, 1e-3),
    "pong": (None, 32, 4, 1, 6.25e-5),
}


class CartPole:
    """N CartPoles; observations [N, 4]."""

    def __init__(self, num_envs: int):
        self.envs = [gymnasium.make("CartPole-v1") for _ in range(num_envs)]

    def reset(self) -> np.ndarray:
        return np.array([env.reset(seed=index)[0] for index, env in enumerate(self.envs)])

    def step(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        observations, rewards, ends = [], [], []
        for env, action in zip(self.envs, actions.tolist(), strict=True):
            observation, reward, terminated, truncated, _ = env.step(action)
            if terminated or truncated:
                observation, _ = env.reset()
            observations.append(observation)
            rewards.append(reward)
            ends.append(terminated)
        return np.array(observations), np.array(rewards), np.array(ends)


class Pong:
    """N Pongs of ale_py's vector environment; observations [N, 4, 84, 84] uint8."""

    def __init__(self, num_envs: int):
        self.envs = ale_py.vector_env.AtariVectorEnv(
            "pong",
            num_envs,
            noop_max=0,
            repeat_action_probability=0.25,
            use_fire_reset=False,
            reward_clipping=False,
            autoreset_mode=gymnasium.vector.AutoresetMode.SAME_STEP,
        )

    def reset(self) -> np.ndarray:
        return self.envs.reset(seed=0)[0]

    def step(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        observations, rewards, terminated, _, _ = self.envs.step(actions)
        return observations, rewards, terminated


def network(pong: bool, hidden: tuple[int, ...] | None, num_actions: int) -> keras.Sequential:
    layers = keras.layers
    if pong:
        body = [
            layers.Conv2D(*size, activation="relu") for size in ((32, 8, 4), (64, 4, 2), (64, 3, 1))
        ]
        body += [layers.Flatten(), layers.Dense(512, "relu")]
    else:
        body = [layers.Dense(units, "relu") for units in hidden]
    made = keras.Sequential([*body, layers.Dense(num_actions)])
    made.build((None, 84, 84, 4) if pong else (None, 4))
    return made


def make_update(pong, online, target, batch, updates, learning_rate):
    """K gradient steps of double batches of frames [K, B, 5, 84, 84] or [K, B, 2, 4] in one call."""
    parameters = [variable.value for variable in online.trainable_variables]
    slots = [(tf.Variable(tf.zeros_like(p)), tf.Variable(tf.zeros_like(p))) for p in parameters]
    powers = [tf.Variable(0.9), tf.Variable(0.999)]

    @tf.function(jit_compile=True)
    def prepare(frames):
        if not pong:
            return frames[:, 0], frames[:, 1]
        images = tf.cast(tf.transpose(frames, [0, 2, 3, 1]), tf.float32) / 255.0
        return images[..., :4], images[..., 1:]

    def one(frames, scalars):
        states, next_states = prepare(frames)
        actions, rewards, discounts = tf.unstack(scalars, axis=1)
        if pong:
            next_values = tf.reduce_max(target(next_states), axis=1)
        else:  # double
            best = tf.one_hot(tf.argmax(online(next_states), axis=1), online.output_shape[1])
            next_values = tf.reduce_sum(target(next_states) * best, axis=1)
        targets = rewards + discounts * next_values
        with tf.GradientTape() as tape:
            chosen = tf.one_hot(tf.cast(actions, tf.int32), online.output_shape[1])
            values = tf.reduce_sum(online(states) * chosen, axis=1)
            loss = tf.reduce_mean(tf.square(targets - values))
        for p, (m, v), g in zip(parameters, slots, tape.gradient(loss, parameters), strict=True):
            tf.raw_ops.ResourceApplyAdam(
                var=p.handle, m=m.handle, v=v.handle, beta1_power=powers[0], beta2_power=powers[1],
                lr=learning_rate, beta1=0.9, beta2=0.999, epsilon=1.5e-4, grad=g,
            )  # fmt: skip
        powers[0].assign(powers[0] * 0.9)
        powers[1].assign(powers[1] * 0.999)
        return loss

    def update(frames, scalars):
        loss = tf.zeros([])
        for index in range(updates) if updates <= 2 else tf.range(updates):
            loss += one(frames[index], scalars[index])
        flat = tf.zeros([0]) if pong else tf.concat([tf.reshape(p, [-1]) for p in parameters], 0)
        return loss, flat

    shape = (5, 84, 84) if pong else (2, 4)
    signature = [
        tf.TensorSpec((updates, batch, *shape), tf.uint8 if pong else tf.float32),
        tf.TensorSpec((updates, batch, 3), tf.float32),
    ]
    return tf.function(
        update, jit_compile=not pong, input_signature=signature
    ).get_concrete_function()


def run(game: str, num_envs: int, steps: int, warm_up: int = 2_000) -> float:
    """Agent steps per second over `steps`, after `warm_up`."""
    pong = game == "pong"
    tensorflow_threads(intra_op=2 if pong else 1)
    hidden, batch, period, per_period, learning_rate = SETTINGS[game]
    env = Pong(num_envs) if pong else CartPole(num_envs)
    num_actions = 6 if pong else 2
    online, target = (network(pong, hidden, num_actions) for _ in range(2))
    updates = per_period * max(1, num_envs // period)
    update = make_update(pong, online, target, batch, updates, learning_rate)
    flat = np.concatenate([p.numpy().ravel() for p in online.trainable_variables])

    @tf.function(input_signature=[tf.TensorSpec((num_envs, 4, 84, 84), tf.uint8)])
    def q_values(frames):
        return online(tf.cast(tf.transpose(frames, [0, 2, 3, 1]), tf.float32) / 255.0)

    q_values = q_values.get_concrete_function() if pong else None
    shapes = [tuple(p.shape) for p in online.trainable_variables]
    ends = np.cumsum([int(np.prod(shape)) for shape in shapes])

    def split(flat):
        parts = np.split(flat, ends[:-1])
        return [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]

    def act(observations):
        if pong:
            return q_values(tf.constant(observations)).numpy().argmax(1)
        for kernel, bias in zip(weights[:-2:2], weights[1:-2:2], strict=True):
            observations = np.maximum(observations @ kernel + bias, 0)
        return (observations @ weights[-2] + weights[-1]).argmax(1)

    weights = split(flat)
    generator = np.random.default_rng(0)
    length = SLOTS // num_envs
    frames = np.zeros(
        (length, num_envs, 84, 84) if pong else (length, num_envs, 4), env.reset().dtype
    )
    flat_frames = frames.reshape(length * num_envs, *frames.shape[2:])
    scalars = np.zeros((length, num_envs, 3), np.float32)
    offsets = np.arange(-3, 2) if pong else np.arange(2)
    observations = env.reset()
    for step in range(0, steps + warm_up, num_envs):
        if step - step % num_envs <= warm_up < step + num_envs:
            start = time.perf_counter()
        actions = act(observations)
        explores = generator.random(num_envs) < EPSILON
        if explores.any():
            actions[explores] = generator.integers(num_actions, size=explores.sum())
        following, rewards, ended = env.step(actions)
        row = step // num_envs % length
        frames[row] = observations[:, -1] if pong else observations
        scalars[row, :, 0] = actions
        scalars[row, :, 1] = np.clip(rewards, -1, 1)
        scalars[row, :, 2] = GAMMA * ~ended
        observations = following
        if step >= 1_000 and step % period < num_envs:
            size = updates * batch
            rows = generator.integers(4, min(step // num_envs, length) - 2, size=size)
            columns = generator.integers(num_envs, size=size)
            at = (rows[:, None] + offsets) * num_envs + columns[:, None]
            sampled = flat_frames.take(at.ravel(), axis=0)
            _, flat = update(
                tf.constant(sampled.reshape(updates, batch, len(offsets), *frames.shape[2:])),
                tf.constant(scalars[rows, columns].reshape(updates, batch, 3)),
            )
            if not pong:
                weights = split(flat.numpy())
    return steps / (time.perf_counter() - start)


if __name__ == "__main__":
    print(f"{run(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])):.0f}")
