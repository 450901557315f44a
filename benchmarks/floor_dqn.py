"""The floor: DQN's calls in DQN's order with nothing around them, to measure the framework against.

Environment, act, add, sample, update: the same environments, networks, sizes and kernels as
`dqn/cartpole.gin` and `dqn/atari.gin`, without statistics, logs, checkpoints, schedules or the care
that ends of episodes need. `python benchmarks/floor_dqn.py pong 8 20000` prints agent steps per second.
"""

import sys
import time

import floor_parts as parts  # before NumPy and Keras: see there

# ruff: isort: split
import keras
import numpy as np
import tensorflow as tf

from dopamine_lite.configuration.tensorflow_setup import tensorflow_threads

GAMMA, EPSILON, SLOTS = 0.99, 0.05, 30_000
SETTINGS = {  # hidden units, batch, agent steps between updates, updates each time, learning rate
    "cartpole": ((256, 256), 64, 256, 256, 1e-3),
    "pong": (None, 32, 4, 1, 6.25e-5),
}


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
    apply = parts.adam(parameters, epsilon=1.5e-4)

    @tf.function(jit_compile=True)
    def prepare(frames):
        if not pong:
            return frames[:, 0], frames[:, 1]
        images = parts.scaled(frames)
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
        apply(tape.gradient(loss, parameters), learning_rate)
        return loss

    def update(frames, scalars):
        loss = tf.zeros([])
        for index in range(updates) if updates <= 2 else tf.range(updates):
            loss += one(frames[index], scalars[index])
        return loss, tf.zeros([0]) if pong else parts.flat(parameters)

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
    tensorflow_threads(intra_op=None if pong else 1)
    hidden, batch, period, per_period, learning_rate = SETTINGS[game]
    env = (
        parts.Pong(num_envs, noop_max=0, repeat_action_probability=0.25, use_fire_reset=False)
        if pong
        else parts.CartPole(num_envs)
    )
    num_actions = 6 if pong else 2
    online, target = (network(pong, hidden, num_actions) for _ in range(2))
    updates = per_period * max(1, num_envs // period)
    update = make_update(pong, online, target, batch, updates, learning_rate)

    @tf.function(input_signature=[tf.TensorSpec((num_envs, 4, 84, 84), tf.uint8)])
    def q_values(frames):
        return online(parts.scaled(frames))

    q_values = q_values.get_concrete_function() if pong else None
    parameters = [variable.value for variable in online.trainable_variables]
    split = parts.splitter(parameters)
    weights = split(parts.flat(parameters).numpy())

    def act(observations):
        if pong:
            return q_values(tf.constant(observations)).numpy().argmax(1)
        for kernel, bias in zip(weights[:-2:2], weights[1:-2:2], strict=True):
            observations = np.maximum(observations @ kernel + bias, 0)
        return (observations @ weights[-2] + weights[-1]).argmax(1)

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
        following, rewards, ended, _, _ = env.step(actions)
        row = step // num_envs % length
        frames[row] = observations[:, -1] if pong else observations
        scalars[row, :, 0] = actions
        scalars[row, :, 1] = np.clip(rewards, -1, 1)
        scalars[row, :, 2] = GAMMA * ~ended
        observations = following
        if step >= 1_000 and step % period < num_envs:
            size = updates * batch
            rows = generator.integers(4, min(step // num_envs, length) - 2, size=size)
            environments = generator.integers(num_envs, size=size)
            at = (rows[:, None] + offsets) * num_envs + environments[:, None]
            sampled = flat_frames.take(at.ravel(), axis=0)
            _, flat = update(
                tf.constant(sampled.reshape(updates, batch, len(offsets), *frames.shape[2:])),
                tf.constant(scalars[rows, environments].reshape(updates, batch, 3)),
            )
            if not pong:
                weights = split(flat.numpy())
    return steps / (time.perf_counter() - start)


if __name__ == "__main__":
    print(f"{run(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])):.0f}")
