"""Torsos, heads and optimisers: shapes, padding, equal outputs by every way of computing them."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

from dopamine_lite.common.seeding import Seeds
from dopamine_lite.networks.heads import QHead
from dopamine_lite.networks.network import Network, NumpyNetwork
from dopamine_lite.networks.optimizers import Adam, RMSProp
from dopamine_lite.networks.torsos import MLP, NatureCNN


def nature(seed: int = 0) -> Network:
    seeds = Seeds(seed)
    return Network(NatureCNN(seeds), QHead(seeds, 6), (4, 84, 84), np.dtype(np.uint8))


def mlp(seed: int = 0) -> Network:
    seeds = Seeds(seed)
    return Network(MLP(seeds, (16, 8)), QHead(seeds, 3), (4,), np.dtype(np.float32))


def test_nature_cnn_has_valid_padding():
    # 8*8*4*32+32 + 4*4*32*64+64 + 3*3*64*64+64 + 7*7*64*512+512 + 512*6+6
    assert nature().num_parameters == 1_687_206


def test_nature_cnn_reads_channels_first_frames():
    frames = np.random.default_rng(0).integers(0, 256, (2, 4, 84, 84), dtype=np.uint8)
    prepared = NatureCNN.prepare(tf.constant(frames))
    np.testing.assert_allclose(prepared, frames.transpose(0, 2, 3, 1) / 255.0, rtol=1e-6)


@pytest.mark.parametrize("build", [nature, mlp])
def test_networks_of_one_seed_are_equal_and_of_two_are_not(build):
    first, second, other = (build(seed).flat_parameters().numpy() for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, second)
    assert (first != other).mean() > 0.8  # biases are zeros


def test_initialisation_draws_from_no_global_generator():
    keras.utils.set_random_seed(5)
    first = nature().flat_parameters().numpy()
    keras.utils.set_random_seed(6)
    np.testing.assert_array_equal(first, nature().flat_parameters().numpy())


def test_numpy_equals_tensorflow():
    network = mlp()
    numpy_network = NumpyNetwork(network)
    numpy_network.load(network.flat_parameters().numpy())
    observations = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    compiled = network.compiled(lambda outputs: outputs)
    np.testing.assert_allclose(numpy_network(observations), compiled(observations), atol=1e-6)


def test_a_network_takes_back_its_state():
    network, other = mlp(0), mlp(1)
    other.set_state(network.get_state())
    np.testing.assert_array_equal(network.flat_parameters(), other.flat_parameters())


def adam_by_hand(parameters, gradients, lr, beta1, beta2, epsilon):
    m = v = 0.0
    for t, g in enumerate(gradients, start=1):
        m, v = beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g * g
        rate = lr * np.sqrt(1 - beta2**t) / (1 - beta1**t)
        parameters = parameters - rate * m / (np.sqrt(v) + epsilon)
    return parameters


def rmsprop_by_hand(parameters, gradients, lr, decay, epsilon):
    mean, square = 0.0, 0.0
    for g in gradients:
        mean, square = decay * mean + (1 - decay) * g, decay * square + (1 - decay) * g * g
        parameters = parameters - lr * g / np.sqrt(square - mean * mean + epsilon)
    return parameters


OPTIMIZERS = {
    "adam": (
        functools.partial(Adam, learning_rate=0.1, beta1=0.8, beta2=0.9, epsilon=0.01),
        lambda p, g: adam_by_hand(p, g, 0.1, 0.8, 0.9, 0.01),
    ),
    "rmsprop": (
        functools.partial(RMSProp, learning_rate=0.1, decay=0.9, epsilon=0.01),
        lambda p, g: rmsprop_by_hand(p, g, 0.1, 0.9, 0.01),
    ),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("compiled", [False, True], ids=["graph", "xla"])
def test_optimizers_follow_their_papers(name, compiled):
    build, by_hand = OPTIMIZERS[name]
    start = np.array([1.0, -2.0, 3.0], np.float32)
    gradients = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    variable = tf.Variable(start)
    optimizer = build()
    optimizer.build([variable])
    step = tf.function(lambda gradient: optimizer.apply([gradient]), jit_compile=compiled)
    for gradient in gradients:
        step(tf.constant(gradient))
    np.testing.assert_allclose(variable.numpy(), by_hand(start, gradients), rtol=2e-5)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers_go_on_from_their_state(name):
    def steps(optimizer, variable, gradients):
        for gradient in gradients:
            optimizer.apply([tf.constant(gradient)])
        return variable.numpy()

    build, _ = OPTIMIZERS[name]
    gradients = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)
    first, second = tf.Variable(tf.ones([3])), tf.Variable(tf.ones([3]))
    whole, halves = build(), build()
    whole.build([first])
    steps(whole, first, gradients[:3])
    halves.build([second])
    halves.set_state(whole.get_state())
    second.assign(first)
    np.testing.assert_array_equal(
        steps(whole, first, gradients[3:]), steps(halves, second, gradients[3:])
    )
