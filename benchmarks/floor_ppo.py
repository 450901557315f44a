"""The floor: PPO's calls in PPO's order with nothing around them, to measure the framework against.

Act, environment, advantages, one compiled call of all passes: the same environments, networks, sizes,
schedules and kernels as `ppo/cartpole.gin` and `ppo/atari.gin`, without statistics, logs and
checkpoints. It learns what they learn: `python benchmarks/floor_ppo.py cartpole 8 51200` prints the mean
return and the agent steps per second of the second half of 102,400 steps.
"""

import sys
import time
from typing import NamedTuple

import floor_parts as parts  # before NumPy and Keras: see there

# ruff: isort: split
import keras
import numpy as np
import tensorflow as tf

from dopamine_lite.configuration.tensorflow_setup import tensorflow_threads

EPSILON, MAX_NORM = 1e-5, 0.5  # Adam's; of gradients


class Settings(NamedTuple):
    """As in the configs, where their names say more."""

    num_actions: int
    shape: tuple[int, ...]  # of an observation
    length: int  # agent steps of each environment in a rollout
    epochs: int
    minibatches: int
    gamma: float
    gae_lambda: float
    learning_rate: float
    clip: float
    value_coefficient: float
    entropy_coefficient: float
    decay_steps: int  # agent steps in which learning rate and clip fall to zero


SETTINGS = {
    "cartpole": Settings(2, (4,), 32, 20, 1, 0.98, 0.8, 1e-3, 0.2, 0.5, 0.0, 102_400),
    "pong": Settings(6, (4, 84, 84), 128, 3, 4, 0.99, 0.95, 2.5e-4, 0.1, 1.0, 0.01, 10_035_200),
}


def make_environment(game: str, num_envs: int) -> parts.CartPole | parts.Pong:
    if game == "cartpole":
        return parts.CartPole(num_envs)
    return parts.Pong(num_envs, noop_max=31, max_num_frames_per_episode=108_000)


def make_network(game: str, num_actions: int):
    """A function from prepared observations to logits [B, A] and values [B]; its variables."""
    layers, orthogonal = keras.layers, keras.initializers.Orthogonal

    def initial(gain, activation=None):
        return {"kernel_initializer": orthogonal(gain), "activation": activation}

    if game == "pong":
        sizes = ((32, 8, 4), (64, 4, 2), (64, 3, 1))
        body = [layers.Conv2D(*size, **initial(2**0.5, "relu")) for size in sizes]
        body += [layers.Flatten(), layers.Dense(512, **initial(2**0.5, "relu"))]
        shared = keras.Sequential(body)
        shared.build((None, 84, 84, 4))
        policy = layers.Dense(num_actions, **initial(0.01))
        value = layers.Dense(1, **initial(1.0))
        for head in (policy, value):
            head.build((None, 512))
        models = (shared, policy, value)
    else:

        def mlp(units, gain):
            hidden = [layers.Dense(64, **initial(2**0.5, "tanh")) for _ in range(2)]
            made = keras.Sequential([*hidden, layers.Dense(units, **initial(gain))])
            made.build((None, 4))
            return made

        policy, value = mlp(num_actions, 0.01), mlp(1, 1.0)
        models = (policy, value)

    def network(prepared):
        features = shared(prepared) if game == "pong" else prepared
        return policy(features), value(features)[:, 0]

    return network, [v.value for model in models for v in model.trainable_variables]


def make_update(game: str, network, parameters, num_envs: int):
    """All passes over a rollout of B steps in one call; returns all parameters in one vector.

    It takes observations [B, ...], actions [B], the logits they were drawn from [B, A], columns [B, 2]
    of advantages and returns, orders [passes x minibatches, rows] and the share of clip and learning
    rate that is left.
    """
    settings = SETTINGS[game]
    size = settings.length * num_envs
    steps = settings.epochs * settings.minibatches
    prepare = parts.scaled if game == "pong" else tf.identity
    apply = parts.adam(parameters, EPSILON)

    def log_probabilities(logits, actions):
        logs = tf.nn.log_softmax(logits)
        return logs, tf.reduce_sum(logs * tf.one_hot(actions, settings.num_actions), axis=1)

    def one(observations, actions, columns, left):
        clip = settings.clip * left
        old_logs, advantages, returns = tf.unstack(columns, axis=1)
        advantages -= tf.reduce_mean(advantages)
        advantages /= tf.math.reduce_std(advantages) + 1e-8
        states = prepare(observations)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(parameters)
            logits, values = network(states)
            logs, chosen = log_probabilities(logits, actions)
            ratios = tf.exp(chosen - old_logs)
            clipped = tf.clip_by_value(ratios, 1.0 - clip, 1.0 + clip)
            loss = -tf.reduce_mean(tf.minimum(ratios * advantages, clipped * advantages))
            loss += settings.value_coefficient * tf.reduce_mean(tf.square(values - returns))
            if settings.entropy_coefficient:
                entropies = -tf.reduce_sum(tf.exp(logs) * logs, axis=1)
                loss -= settings.entropy_coefficient * tf.reduce_mean(entropies)
        gradients, _ = tf.clip_by_global_norm(tape.gradient(loss, parameters), MAX_NORM)
        apply(gradients, settings.learning_rate * left)

    def update(observations, actions, logits, columns, orders, left):
        _, old_logs = log_probabilities(logits, actions)
        columns = tf.concat([old_logs[:, None], columns], axis=1)
        for index in tf.range(steps):
            rows = orders[index]
            one(*(tf.gather(column, rows) for column in (observations, actions, columns)), left)
        return tf.zeros([0]) if game == "pong" else parts.flat(parameters)

    signature = [
        tf.TensorSpec((size, *settings.shape), tf.uint8 if game == "pong" else tf.float32),
        tf.TensorSpec((size,), tf.int32),
        tf.TensorSpec((size, settings.num_actions), tf.float32),
        tf.TensorSpec((size, 2), tf.float32),
        tf.TensorSpec((steps, size // settings.minibatches), tf.int32),
        tf.TensorSpec((), tf.float32),
    ]
    return tf.function(
        update, jit_compile=game == "cartpole", input_signature=signature
    ).get_concrete_function()


def make_act(game: str, network, num_envs: int):
    """A function from observations and, in NumPy, weights to logits [N, A] and values [N]."""
    if game == "pong":

        @tf.function(input_signature=[tf.TensorSpec((num_envs, 4, 84, 84), tf.uint8)])
        def outputs(observations):
            return network(parts.scaled(observations))

        compiled = outputs.get_concrete_function()
        return lambda observations, _: [
            output.numpy() for output in compiled(tf.constant(observations))
        ]

    def mlp(outputs, weights):
        for kernel, bias in ((weights[0], weights[1]), (weights[2], weights[3])):
            outputs = np.tanh(outputs @ kernel + bias)
        return outputs @ weights[4] + weights[5]

    return lambda observations, weights: (
        mlp(observations, weights[:6]),
        mlp(observations, weights[6:])[:, 0],
    )


def generalised_advantages(rewards, values, last_values, ended, gamma: float, gae_lambda: float):
    """[T, N] of rewards, values and ends [T, N] and the values [N] after the last step."""
    going_on = gamma * ~ended
    advantages = rewards - values
    advantages[:-1] += going_on[:-1] * values[1:]
    advantages[-1] += going_on[-1] * last_values
    going_on *= gae_lambda
    for step in range(len(advantages) - 2, -1, -1):
        advantages[step] += going_on[step] * advantages[step + 1]
    return advantages


def run(game: str, num_envs: int, steps: int) -> tuple[float, float]:
    """Mean return and agent steps per second over `steps`, after as many."""
    tensorflow_threads(intra_op=None if game == "pong" else 1)
    settings = SETTINGS[game]
    length, size = settings.length, settings.length * num_envs
    env = make_environment(game, num_envs)
    network, parameters = make_network(game, settings.num_actions)
    update = make_update(game, network, parameters, num_envs)
    act = make_act(game, network, num_envs)
    split = parts.splitter(parameters)
    weights = split(parts.flat(parameters).numpy())
    generator = np.random.default_rng(0)

    rows = steps // num_envs
    raw_rewards = np.empty((2 * rows, num_envs))  # with the ends, for the returns afterwards
    ends = np.empty((2 * rows, num_envs), bool)
    observations = env.reset()
    rollout = np.empty((length, *observations.shape), observations.dtype)
    actions = np.empty((length, num_envs), np.int32)
    logits = np.empty((length, num_envs, settings.num_actions), np.float32)
    values = np.empty((length, num_envs), np.float32)
    bonuses = np.zeros((length, num_envs), np.float32)  # discounted values where a limit cut
    for row in range(2 * rows):
        if row == rows:
            start = time.perf_counter()
        at = row % length
        rollout[at] = observations
        logits[at], values[at] = act(observations, weights)
        noise = generator.gumbel(size=logits[at].shape)
        actions[at] = (logits[at] + noise).argmax(axis=1)
        observations, raw_rewards[row], terminated, truncated, final = env.step(actions[at])
        ends[row] = terminated | truncated
        if truncated.any():
            following = observations.copy()
            for index in truncated.nonzero()[0]:
                following[index] = final[index]
            cut = truncated & ~terminated
            bonuses[at] = settings.gamma * cut * act(following, weights)[1]
        if at < length - 1:
            continue
        rewards = np.clip(raw_rewards[row + 1 - length : row + 1], -1, 1) + bonuses
        advantages = generalised_advantages(
            rewards.astype(np.float32),
            values,
            act(observations, weights)[1],
            ends[row + 1 - length : row + 1],
            settings.gamma,
            settings.gae_lambda,
        )
        columns = np.stack([advantages, advantages + values], axis=-1, dtype=np.float32)
        orders = [generator.permutation(size) for _ in range(settings.epochs)]
        left = max(0.0, 1 - (row + 1 - length) * num_envs / settings.decay_steps)
        vector = update(
            tf.constant(rollout.reshape(size, *settings.shape)),
            tf.constant(actions.reshape(size)),
            tf.constant(logits.reshape(size, -1)),
            tf.constant(columns.reshape(size, -1)),
            tf.constant(np.array(orders, np.int32).reshape(-1, size // settings.minibatches)),
            tf.constant(np.float32(left)),
        )
        bonuses[:] = 0
        if game == "cartpole":
            weights = split(vector.numpy())
    seconds = time.perf_counter() - start
    return mean_return(raw_rewards[rows:], ends[rows:]), steps / seconds


def mean_return(rewards: np.ndarray, ends: np.ndarray) -> float:
    """Of the episodes that begin and end within rewards and ends [T, N]; NaN where there are none."""
    environments = zip(rewards.cumsum(axis=0).T, ends.T, strict=True)
    returns = np.concatenate([np.diff(totals[end]) for totals, end in environments])
    return float(returns.mean()) if returns.size else float("nan")


if __name__ == "__main__":
    average_return, speed = run(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
    print(f"return {average_return:.1f}, agent steps per second {speed:.0f}")
