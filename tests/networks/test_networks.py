"""Torsos, heads and optimizers: shapes, padding, equal outputs by every way of computing them."""

import functools
import subprocess
import sys
from typing import Any

import gymnasium
import keras
import numpy as np
import pytest
import scipy.stats
import tensorflow as tf

from dopamine_lite.acting.inference import CompiledNetwork, NumpyNetwork
from dopamine_lite.common.errors import UserError
from dopamine_lite.common.seeding import Seeds
from dopamine_lite.networks.augmentation import RandomShift
from dopamine_lite.networks.export import keras_model
from dopamine_lite.networks.heads import (
    CategoricalHead,
    ImplicitQuantileHead,
    QHead,
    QuantileHead,
)
from dopamine_lite.networks.layers import CosineEmbedding, NoisyDense, initializer
from dopamine_lite.networks.network import Network
from dopamine_lite.networks.optimizers import Adam, RAdam, RMSProp
from dopamine_lite.networks.policies import policy_for
from dopamine_lite.networks.torsos import (
    MLP,
    ImpalaCNN,
    MinAtarCNN,
    NatureCNN,
    PatchConvolution,
    SmallCNN,
)
from dopamine_lite.networks.twins import example_observations
from tests.core import core


def space(shape: tuple[int, ...], dtype: Any) -> gymnasium.spaces.Box:
    high = {np.uint8: 255, bool: 1}.get(dtype, 10)
    return gymnasium.spaces.Box(-high if dtype is np.float32 else 0, high, shape, dtype)


ATARI = space((4, 84, 84), np.uint8)
PICTURES = space((10, 10, 3), np.uint8)


def nature(seed: int = 0) -> Network:
    seeds = Seeds(seed)
    return Network(NatureCNN(seeds), QHead(seeds, 6), ATARI)


def mlp(seed: int = 0) -> Network:
    seeds = Seeds(seed)
    return Network(MLP(seeds, (16, 8)), QHead(seeds, 3), space((4,), np.float32))


def test_nature_cnn_has_valid_padding():
    # 8*8*4*32+32 + 4*4*32*64+64 + 3*3*64*64+64 + 7*7*64*512+512 + 512*6+6
    assert nature().num_parameters == 1_687_206


def test_nature_cnn_reads_channels_first_frames():
    frames = np.random.default_rng(0).integers(0, 256, (2, 4, 84, 84), dtype=np.uint8)
    prepared = nature().prepare(tf.constant(frames))
    np.testing.assert_allclose(prepared, frames.transpose(0, 2, 3, 1) / 255.0, rtol=1e-6)


@pytest.mark.exhaustive
def test_building_a_network_of_frames_says_nothing(capfd):
    # TensorFlow's eager transpose of bytes complains, once a process, of an AVX-512 that is there.
    code = """
from dopamine_lite.configuration.tensorflow_setup import import_tensorflow, tensorflow_threads
import_tensorflow()
tensorflow_threads()
import gymnasium, numpy
from dopamine_lite.common.seeding import Seeds
from dopamine_lite.networks.heads import QHead
from dopamine_lite.networks.network import Network
from dopamine_lite.networks.torsos import NatureCNN
frames = gymnasium.spaces.Box(0, 255, (4, 84, 84), numpy.uint8)
Network(NatureCNN(Seeds(0)), QHead(Seeds(0), 6), frames)
"""
    subprocess.run([sys.executable, "-c", code], check=True)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("torso", [NatureCNN, ImpalaCNN])
def test_pictures_of_real_numbers_are_read_as_they_are(torso):
    """Often wrong: pixels that were normalized already divided by 255 once more."""
    frames = np.random.default_rng(0).normal(size=(2, 4, 84, 84)).astype(np.float32)
    network = Network(torso(Seeds(0)), QHead(Seeds(0), 6), space((4, 84, 84), np.float32))
    prepared = network.prepare(tf.constant(frames))
    np.testing.assert_array_equal(prepared, frames.transpose(0, 2, 3, 1))


def test_a_discrete_observation_is_a_one_hot_vector():
    """Often wrong: the number of a state read as a quantity."""
    states = gymnasium.spaces.Discrete(5, start=-2)
    network = Network(MLP(Seeds(0), (8,)), QHead(Seeds(0), 3), states)
    assert network.num_parameters == (5 * 8 + 8) + (8 * 3 + 3)
    observations = np.array([-2, 0, 2])
    np.testing.assert_array_equal(
        network.prepare(tf.constant(observations)), np.eye(5, dtype=np.float32)[[0, 2, 4]]
    )
    in_numpy = NumpyNetwork(network)
    in_numpy.load(network.flat_parameters().numpy())
    values = network(network.prepare(tf.constant(observations)))
    np.testing.assert_allclose(in_numpy(observations), values, rtol=1e-5, atol=1e-6)
    with pytest.raises(UserError, match="`format` savedmodel"):
        keras_model(network)


def relu_convolution(inputs: tf.Tensor, layer: keras.layers.Layer, stride: int) -> tf.Tensor:
    kernel, bias = layer.trainable_variables
    return tf.nn.relu(tf.nn.conv2d(inputs, kernel.value, stride, "VALID") + bias.value)


def relu_dense(inputs: tf.Tensor, layer: keras.layers.Layer) -> tf.Tensor:
    kernel, bias = layer.trainable_variables
    return tf.nn.relu(inputs @ kernel.value + bias.value)


def test_nature_cnn_is_three_convolutions_and_a_layer_each_with_its_relu():
    network = nature()
    frames = np.random.default_rng(0).integers(0, 256, (2, 4, 84, 84), dtype=np.uint8)
    outputs = prepared = network.prepare(tf.constant(frames))
    *convolutions, _, dense = network.torso.layers.layers
    for layer, stride in zip(convolutions, (4, 2, 1), strict=True):
        outputs = relu_convolution(outputs, layer, stride)
    expected = relu_dense(tf.reshape(outputs, [2, -1]), dense)
    np.testing.assert_allclose(network.features(prepared), expected, atol=1e-5)


def test_minatars_network_is_a_convolution_and_a_layer_each_with_its_relu():
    seeds = Seeds(0)
    shape = (10, 10, 4)
    network = Network(MinAtarCNN(seeds), QHead(seeds, 6), space(shape, bool))
    frames = np.random.default_rng(0).integers(0, 2, (3, *shape)).astype(np.float32)
    convolution, _, dense = network.torso.layers.layers
    outputs = relu_convolution(tf.constant(frames), convolution, 1)
    expected = relu_dense(tf.reshape(outputs, [3, -1]), dense)
    np.testing.assert_allclose(network.features(tf.constant(frames)), expected, atol=1e-5)


def test_impala_blocks_add_what_comes_in_to_what_comes_out():
    """With all convolutions at zero a residual block leaves its input as it is."""
    torso = ImpalaCNN(Seeds(0))
    frames = tf.random.stateless_uniform([1, 84, 84, 4], [1, 2])
    torso.layers(frames)
    blocks = [layer for layer in torso.layers.layers if "residual" in type(layer).__name__.lower()]
    assert len(blocks) == 6
    for block in blocks:
        inputs = tf.random.stateless_normal(
            [1, 11, 11, block.trainable_variables[0].shape[2]], [3, 4]
        )
        plain = block(inputs)
        assert np.abs(plain - inputs).max() > 0.01
        for variable in block.trainable_variables:
            variable.assign(tf.zeros_like(variable))
        np.testing.assert_array_equal(block(inputs), inputs)


@pytest.mark.parametrize(
    ("torso", "shape", "dtype"),
    [
        (NatureCNN, (4, 84, 84), np.uint8),
        (NatureCNN, (4, 84, 84), np.float32),
        (MinAtarCNN, (10, 10, 4), bool),
    ],
)
def test_a_keras_model_of_pictures_is_the_network(torso, shape, dtype):
    seeds = Seeds(0)
    network = Network(torso(seeds), QHead(seeds, 6), space(shape, dtype))
    highest = 256 if dtype is np.uint8 else 2
    frames = np.random.default_rng(0).integers(0, highest, (3, *shape)).astype(dtype)
    assert network.prepare(tf.constant(frames)).numpy().max() == 1
    expected = network(network.prepare(tf.constant(frames)))
    np.testing.assert_allclose(keras_model(network)(frames), expected, atol=1e-5)


def test_orthogonal_kernels_have_their_gains():
    kernel = np.array(initializer("orthogonal", Seeds(0), "kernel")((8, 8)))
    np.testing.assert_allclose(kernel @ kernel.T, 2 * np.eye(8), atol=1e-5)  # gain sqrt(2)
    policy = policy_for(Seeds(0), gymnasium.spaces.Discrete(3), "PPOAgent")
    policy(tf.ones([1, 8]))
    lengths = np.linalg.norm(policy.layers[0].trainable_variables[0].numpy(), axis=0)
    np.testing.assert_allclose(lengths, 0.01, rtol=1e-4)


def test_cosines_are_those_of_equation_4():
    """psi(s) * ReLU(sum_i cos(pi i tau)), all weights at one."""
    embedding = CosineEmbedding(4, keras.initializers.Ones())
    expected = max(np.cos(np.pi * np.arange(4) * 0.3).sum(), 0)
    assert expected > 0.3
    found = embedding(tf.ones([1, 2]), tf.constant([[0.3]]))
    np.testing.assert_allclose(found, np.full((1, 1, 2), expected), rtol=1e-5)


@pytest.mark.parametrize("build", [nature, mlp])
def test_networks_of_one_seed_are_equal_and_of_two_are_not(build):
    first, second, other = (build(seed).flat_parameters().numpy() for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, second)
    assert (first != other).mean() > 0.8  # biases are zeros


def test_initialization_draws_from_no_global_generator():
    keras.utils.set_random_seed(5)
    first = nature().flat_parameters().numpy()
    keras.utils.set_random_seed(6)
    np.testing.assert_array_equal(first, nature().flat_parameters().numpy())


HEADS = {
    "q": QHead,
    "dueling": functools.partial(QHead, dueling=True, hidden_units=5),
    "noisy": functools.partial(QHead, noisy=True, dueling=True, hidden_units=5),
    "categorical": functools.partial(CategoricalHead, num_atoms=7, vmin=-1, vmax=3),
    "dueling_categorical": functools.partial(CategoricalHead, num_atoms=7, dueling=True),
    "quantile": functools.partial(QuantileHead, num_quantiles=5),
}
TORSOS = {
    "mlp": (functools.partial(MLP, hidden_units=(16, 8)), (4,), np.float32),
    "minatar": (functools.partial(MinAtarCNN, hidden_units=12), (10, 10, 3), np.uint8),
    "minatar_convolution": (functools.partial(MinAtarCNN, hidden_units=0), (10, 10, 3), np.uint8),
}


def both(torso: str, head) -> tuple[Network, NumpyNetwork, np.ndarray]:
    """A network, the same in NumPy, and five observations."""
    build, shape, dtype = TORSOS[torso]
    network = Network(build(Seeds(0)), head(Seeds(1), 3), space(shape, dtype))
    generator = np.random.default_rng(0)
    for variable in network.variables:  # biases, too
        variable.assign(generator.normal(size=variable.shape) * 0.3)
    numpy_network = NumpyNetwork(network)
    numpy_network.load(network.flat_parameters().numpy())
    drawn = generator.normal(size=(5, *shape)) * 3
    return network, numpy_network, (drawn if dtype is np.float32 else np.abs(drawn)).astype(dtype)


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("torso", TORSOS)
def test_numpy_equals_tensorflow(torso, head):
    network, numpy_network, observations = both(torso, HEADS[head])
    values = CompiledNetwork(network)(observations, None)
    assert values.shape == (5, 3)
    np.testing.assert_allclose(numpy_network(observations), values, rtol=2e-4, atol=2e-4)


def test_implicit_quantiles_are_the_same_in_numpy():
    """Both average over drawn fractions; over many of them they agree."""
    head = functools.partial(ImplicitQuantileHead, num_quantile_samples=20_000, hidden_units=6)
    network, numpy_network, observations = both("mlp", head)
    generator = np.random.default_rng(0)
    values = CompiledNetwork(network)(observations, generator)
    np.testing.assert_allclose(numpy_network(observations, generator), values, atol=0.05)


def test_implicit_quantiles_of_one_action_and_their_mean_are_those_of_all_actions():
    head = ImplicitQuantileHead(Seeds(0), 3, num_cosines=8, hidden_units=6)
    generator = np.random.default_rng(0)
    features = tf.constant(generator.normal(size=(4, 5)), tf.float32)
    taus = tf.constant(generator.random((4, 7)), tf.float32)
    head.quantiles(features, taus)  # builds the layers
    for layer in head.layers:
        layer.bias.assign(generator.normal(size=layer.bias.shape))
    quantiles = head.quantiles(features, taus).numpy()
    actions = np.array([2, 0, 1, 2], np.int32)
    np.testing.assert_allclose(
        head.chosen_quantiles(features, taus, tf.constant(actions)),
        quantiles[np.arange(4), :, actions],
        rtol=1e-5,
    )
    np.testing.assert_allclose(
        head.mean_quantiles(features, taus), quantiles.mean(axis=1), rtol=1e-5
    )


def test_patches_make_the_convolution():
    layer = PatchConvolution(5, 3, activation="relu")
    inputs = tf.constant(np.random.default_rng(0).normal(size=(2, 10, 8, 4)), tf.float32)
    outputs = layer(inputs)
    assert layer.count_params() == 3 * 3 * 4 * 5 + 5
    layer.bias.assign(np.linspace(-1, 1, 5))
    expected = tf.nn.relu(tf.nn.conv2d(inputs, layer.kernel.value, 1, "VALID") + layer.bias.value)
    assert outputs.shape == (2, 8, 6, 5)
    np.testing.assert_allclose(layer(inputs), expected, atol=1e-5)


def test_dueling_values_have_the_state_value_as_their_mean():
    head = QHead(Seeds(0), 3, dueling=True)
    features = tf.constant(np.random.default_rng(0).normal(size=(4, 6)).astype(np.float32))
    values = head(features)
    _, state_values = (layer(features) for layer in head.layers)
    np.testing.assert_allclose(tf.reduce_mean(values, axis=1), state_values[:, 0], atol=1e-6)


def test_noise_is_off_without_a_seed_and_repeats_with_one():
    network, _, observations = both("mlp", HEADS["noisy"])
    values = CompiledNetwork(network)
    np.testing.assert_array_equal(values(observations, None), values(observations, None))
    first, second = (values(observations, np.random.default_rng(3)) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert (first != values(observations, None)).all()
    assert (first != values(observations, np.random.default_rng(4))).all()


@pytest.mark.parametrize("way", core(["tensorflow", "numpy"], "numpy"))
def test_noise_has_the_moments_of_the_factorized_gaussian(way):
    """y - x mu_w - mu_b = (sum_i x_i f(e_i) sigma + sigma) f(e'): Var f = E|e| = sqrt(2 / pi)."""
    layer = NoisyDense(2, Seeds(0), 0.5, "noisy")
    inputs = np.array([[1.0, -2.0, 3.0, 0.5]], np.float32)
    mean = layer(tf.constant(inputs)).numpy()
    weights = [variable.numpy() for variable in layer.trainable_variables]
    generator = np.random.default_rng(0)
    if way == "numpy":
        draws = [layer.call_numpy(inputs, weights, generator) for _ in range(20_000)]
    else:
        call = tf.function(lambda seed: layer(tf.constant(inputs), seed=seed))
        draws = [call(tf.constant([7, index])) for index in range(20_000)]
    noise = np.array(draws)[:, 0] - mean[0]
    sigma = 0.5 / np.sqrt(4)
    variance = sigma**2 * ((inputs**2).sum() * 2 / np.pi + np.sqrt(2 / np.pi))
    np.testing.assert_allclose(noise.mean(axis=0), 0, atol=4 * np.sqrt(variance / 20_000))
    np.testing.assert_allclose(noise.var(axis=0), variance, rtol=0.1)


@pytest.mark.parametrize("way", core(["TensorFlow", "NumPy"], "NumPy"))
def test_every_noisy_layer_has_noise_of_its_own(way):
    """Often wrong: one generator for all noisy layers."""
    head = QHead(Seeds(0), 4, dueling=True, noisy=True)
    features = tf.ones([1, 6])
    head(features)
    for layer in head.layers:  # the noise alone
        for variable in layer.trainable_variables:
            variable.assign(tf.ones_like(variable) if "sigma" in variable.name else 0 * variable)
    if way == "TensorFlow":
        draws = np.array([head(features, tf.constant([5, index]))[0] for index in range(400)])
    else:
        generator = np.random.default_rng(0)
        weights = [v.numpy() for layer in head.layers for v in layer.trainable_variables]
        acted = [head.call_numpy(features.numpy(), weights, generator)[0] for _ in range(400)]
        draws = np.array(acted)
        assert draws.std() > 0.1
    advantages = draws - draws.mean(axis=1, keepdims=True)
    correlation = np.corrcoef(advantages[:, 0], draws.mean(axis=1))[0, 1]
    assert abs(correlation) < 0.2


@pytest.mark.parametrize(
    ("kind", "bound"),
    [
        ("glorot_uniform", np.sqrt(6 / (100 + 50))),
        ("dopamine_uniform", np.sqrt(np.sqrt(3) / 100)),
        ("torch_uniform", 1 / np.sqrt(100)),
    ],
)
def test_initializers_have_their_bounds(kind, bound):
    drawn = np.abs(initializer(kind, Seeds(0), "kernel")((100, 50)))
    assert 0.99 * bound < drawn.max() <= bound


def test_other_torsos_have_the_sizes_of_their_papers():
    minatar = Network(MinAtarCNN(Seeds(0)), QHead(Seeds(0), 6), space((10, 10, 4), np.uint8))
    assert minatar.num_parameters == (9 * 4 * 16 + 16) + (1024 * 128 + 128) + (128 * 6 + 6)
    impala = Network(ImpalaCNN(Seeds(0)), QHead(Seeds(0), 6), ATARI)
    sections = sum(
        9 * before * filters + filters + 4 * (9 * filters**2 + filters)
        for before, filters in ((4, 16), (16, 32), (32, 32))
    )
    assert impala.num_parameters == sections + (11 * 11 * 32 * 512 + 512) + (512 * 6 + 6)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: CategoricalHead(Seeds(0), 2, vmin=1, vmax=1), "51 atoms from 1 to 1"),
        (
            lambda: CategoricalHead(Seeds(0), 2, num_atoms=1),
            "CategoricalHead.num_atoms is 1: give a whole number",
        ),
        (lambda: QuantileHead(Seeds(0), 2, num_quantiles=0), "num_quantiles is 0"),
        (lambda: QHead(Seeds(0), 2, initializer="glorot"), "no initializer 'glorot': choose one"),
    ],
)
def test_impossible_heads_are_refused(call, sentence):
    with pytest.raises(UserError, match=sentence):
        call()


class OfTwoNumbers(MLP):
    """A torso of a user's, which says what it cannot read."""

    def prepare(self, observations: tf.Tensor) -> tf.Tensor:
        if observations.shape[1] != 2:
            raise UserError("OfTwoNumbers reads two numbers: choose another torso.")
        return super().prepare(observations)


def test_a_sentence_raised_while_tracing_stays_that_sentence():
    """TensorFlow puts "in user code: File ..." before the messages of other errors."""
    with pytest.raises(UserError) as caught:
        Network(OfTwoNumbers(Seeds(0)), QHead(Seeds(0), 2), space((3,), np.float32))
    assert str(caught.value) == "OfTwoNumbers reads two numbers: choose another torso."


def test_a_network_takes_back_its_state():
    network, other = mlp(0), mlp(1)
    other.set_state(network.get_state())
    np.testing.assert_array_equal(network.flat_parameters(), other.flat_parameters())


CONSTANT = [0.1] * 6
FALLING = [0.1, 0.075, 0.05, 0.025, 0.0, 0.0]  # with decay_updates = 4


def adam_by_hand(parameters, gradients, rates, beta1, beta2, epsilon):
    m = v = 0.0
    for t, (g, lr) in enumerate(zip(gradients, rates, strict=True), start=1):
        m, v = beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g * g
        rate = lr * np.sqrt(1 - beta2**t) / (1 - beta1**t)
        parameters = parameters - rate * m / (np.sqrt(v) + epsilon)
    return parameters


def radam_by_hand(parameters, gradients, rates, beta1, beta2, epsilon):
    """Algorithm 2 of Liu et al. (2020), with 5 for its 4."""
    m, v = 0.0, 0.0
    rho_inf = 2 / (1 - beta2) - 1
    for t, (g, lr) in enumerate(zip(gradients, rates, strict=True), start=1):
        m, v = beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g * g
        step = m / (1 - beta1**t)
        rho = rho_inf - 2 * t * beta2**t / (1 - beta2**t)
        if rho > 5:
            of_paper = (rho - 4) * (rho - 2) * rho_inf / ((rho_inf - 4) * (rho_inf - 2) * rho)
            step *= np.sqrt(of_paper) * np.sqrt(1 - beta2**t) / (np.sqrt(v) + epsilon)
        parameters = parameters - lr * step
    return parameters


def rmsprop_by_hand(parameters, gradients, rates, decay, epsilon, centered, momentum=0.0):
    mean, square, moved = 0.0, 0.0, 0.0
    for g, lr in zip(gradients, rates, strict=True):
        mean, square = decay * mean + (1 - decay) * g, decay * square + (1 - decay) * g * g
        variance = square - mean * mean if centered else square
        moved = momentum * moved + lr * g / np.sqrt(variance + epsilon)
        parameters = parameters - moved
    return parameters


ADAM = functools.partial(Adam, learning_rate=0.1, beta1=0.8, beta2=0.9, epsilon=0.01)
RADAM = functools.partial(RAdam, learning_rate=0.1, beta1=0.8, beta2=0.9, epsilon=0.01)
RMSPROP = functools.partial(RMSProp, learning_rate=0.1, decay=0.9, epsilon=0.01)
OPTIMIZERS = {
    "adam": (ADAM, lambda p, g: adam_by_hand(p, g, CONSTANT, 0.8, 0.9, 0.01)),
    "adam falling": (
        functools.partial(ADAM, decay_updates=4),
        lambda p, g: adam_by_hand(p, g, FALLING, 0.8, 0.9, 0.01),
    ),
    "radam": (RADAM, lambda p, g: radam_by_hand(p, g, CONSTANT, 0.8, 0.9, 0.01)),
    "radam falling": (
        functools.partial(RADAM, decay_updates=4),
        lambda p, g: radam_by_hand(p, g, FALLING, 0.8, 0.9, 0.01),
    ),
    "rmsprop": (RMSPROP, lambda p, g: rmsprop_by_hand(p, g, CONSTANT, 0.9, 0.01, centered=True)),
    "rmsprop falling": (
        functools.partial(RMSPROP, decay_updates=4),
        lambda p, g: rmsprop_by_hand(p, g, FALLING, 0.9, 0.01, centered=True),
    ),
    "rmsprop not centered": (
        functools.partial(RMSPROP, centered=False),
        lambda p, g: rmsprop_by_hand(p, g, CONSTANT, 0.9, 0.01, centered=False),
    ),
    "rmsprop with momentum": (
        functools.partial(RMSPROP, momentum=0.5),
        lambda p, g: rmsprop_by_hand(p, g, CONSTANT, 0.9, 0.01, centered=True, momentum=0.5),
    ),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("compiled", [False, True], ids=["graph", "xla"])
def test_optimizers_follow_their_papers(name, compiled):
    build, by_hand = OPTIMIZERS[name]
    start = np.array([1.0, -2.0, 3.0], np.float32)
    gradients = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)
    variable = tf.Variable(start)
    optimizer = build()
    optimizer.build([variable])
    step = tf.function(lambda gradient: optimizer.apply([gradient]), jit_compile=compiled)
    for gradient in gradients:
        step(tf.constant(gradient))
    np.testing.assert_allclose(variable.numpy(), by_hand(start, gradients), rtol=2e-5)


@pytest.mark.parametrize("decay_updates", [None, 100])
@pytest.mark.parametrize("optimizer", [ADAM, RADAM, RMSPROP])
def test_a_step_at_a_share_of_the_learning_rate(optimizer, decay_updates):
    variable = tf.Variable([1.0, 2.0])
    moved = []
    for scale in (1.0, tf.constant(0.25)):
        variable.assign([1.0, 2.0])
        built = optimizer(decay_updates=decay_updates)
        built.build([variable])
        built.apply([tf.constant([0.5, -3.0])], scale)
        moved.append(variable.numpy() - [1.0, 2.0])
    np.testing.assert_allclose(moved[1], 0.25 * moved[0], rtol=1e-5)


@pytest.mark.parametrize("beta2", [0.9, 0.99, 0.999, 0.9999])
def test_radam_is_rectified_from_the_step_on_that_the_paper_says(beta2):
    """Often wrong: rho in float32, of which at 0.999 little is left, so the first steps are huge."""
    start, gradients = np.ones(2), np.random.default_rng(0).normal(size=(30, 2))
    variable = tf.Variable(start, dtype=tf.float32)
    optimizer = RAdam(learning_rate=0.01, beta2=beta2)
    optimizer.build([variable])
    step = tf.function(lambda gradient: optimizer.apply([gradient]), jit_compile=True)
    for number, gradient in enumerate(gradients, start=1):
        step(tf.constant(gradient, tf.float32))
        by_hand = radam_by_hand(start, gradients[:number], [0.01] * number, 0.9, beta2, 1e-8)
        np.testing.assert_allclose(variable.numpy(), by_hand, rtol=1e-5)


@pytest.mark.parametrize("beta2", [0.0, 0.5, 0.6])
def test_radam_of_a_short_memory_is_never_rectified(beta2):
    """rho_inf is 4 at a beta2 of 0.6, and below it, the rectification has no root."""
    variable = tf.Variable([1.0, 2.0])
    optimizer = RAdam(learning_rate=0.1, beta1=0.0, beta2=beta2)
    optimizer.build([variable])
    for _ in range(10):
        optimizer.apply([tf.constant([1.0, -2.0])])
    np.testing.assert_allclose(variable.numpy(), [0.0, 4.0], atol=1e-5)


@pytest.mark.parametrize("settings", [{"beta1": 1}, {"beta2": 1.0}], ids=str)
def test_an_optimizer_that_never_learns_is_refused(settings):
    with pytest.raises(UserError, match="must be below 1"):
        RAdam(**settings)


NORMALISED = {
    "mlp": (functools.partial(MLP, hidden_units=(16, 8)), space((4,), np.float32)),
    "tanh": (functools.partial(MLP, hidden_units=(8,), activation="tanh"), space((4,), np.uint8)),
    "minatar": (functools.partial(MinAtarCNN, hidden_units=8), space((10, 10, 3), bool)),
    "minatar without a layer": (functools.partial(MinAtarCNN, hidden_units=0), PICTURES),
    "nature": (functools.partial(NatureCNN, hidden_units=8), space((36, 36, 2), np.uint8)),
    "small": (functools.partial(SmallCNN, hidden_units=8), PICTURES),
}


def with_layer_norm(name: str) -> Network:
    """A network whose scales and offsets are not those with which they begin."""
    torso, observations = NORMALISED[name]
    network = Network(torso(Seeds(0), layer_norm=True), QHead(Seeds(1), 3), observations)
    generator = np.random.default_rng(0)
    for variable in network.variables:
        variable.assign_add(0.3 * generator.normal(size=variable.shape))
    return network


@pytest.mark.parametrize("name", NORMALISED)
def test_layer_norm_comes_before_each_activation(name):
    """Over the units, and of convolutions over the filters of each place; by hand, from the weights."""
    network = with_layer_norm(name)
    prepared = network.prepare(tf.constant(example_observations(network.observation_space, 5)))
    outputs, layers = prepared, list(network.torso.layers.layers)
    activation = np.tanh if name == "tanh" else lambda numbers: np.maximum(numbers, 0)
    for layer in layers:
        if isinstance(layer, keras.layers.LayerNormalization):
            scale, offset = (variable.numpy() for variable in layer.trainable_variables)
            numbers = outputs.numpy()
            mean = numbers.mean(axis=-1, keepdims=True)
            deviation = np.sqrt(numbers.var(axis=-1, keepdims=True) + 1e-6)
            outputs = tf.constant(activation((numbers - mean) / deviation * scale + offset))
        elif not isinstance(layer, keras.layers.Activation):
            outputs = layer(outputs)
    np.testing.assert_allclose(network.features(prepared), outputs, rtol=1e-3, atol=1e-4)
    kinds = [type(layer).__name__ for layer in layers]
    normalized = [
        kinds[index + 1 : index + 3]
        for index, layer in enumerate(layers)
        if isinstance(layer, keras.layers.Dense | keras.layers.Conv2D)
    ]
    assert all(following == ["LayerNormalization", "Activation"] for following in normalized)
    assert kinds.count("LayerNormalization") == len(normalized) > 0


@pytest.mark.parametrize("name", [name for name in NORMALISED if name not in ("nature", "small")])
def test_layer_norm_is_the_same_in_numpy(name):
    network = with_layer_norm(name)
    observations = example_observations(network.observation_space, 5)
    in_numpy = NumpyNetwork(network)
    in_numpy.load(network.flat_parameters().numpy())
    found = network(network.prepare(tf.constant(observations)))
    np.testing.assert_allclose(in_numpy(observations), found, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", NORMALISED)
def test_a_keras_model_has_the_layer_norm(name):
    network = with_layer_norm(name)
    observations = example_observations(network.observation_space, 5)
    found = network(network.prepare(tf.constant(observations)))
    np.testing.assert_allclose(keras_model(network)(observations), found, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", NORMALISED)
def test_without_layer_norm_nothing_is_added(name):
    torso, observations = NORMALISED[name]
    plain, said = (
        Network(torso(Seeds(0), **arguments), QHead(Seeds(1), 3), observations)
        for arguments in ({}, {"layer_norm": False})
    )
    assert [variable.shape for variable in plain.variables] == [
        variable.shape for variable in said.variables
    ]
    np.testing.assert_array_equal(plain.flat_parameters(), said.flat_parameters())
    assert (
        len(plain.variables)
        == 2 * len([layer for layer in plain.torso.layers.layers if layer.weights]) + 2
    )


@pytest.mark.parametrize("torso", [MLP, MinAtarCNN, NatureCNN, SmallCNN])
def test_layer_norm_is_a_flag(torso):
    with pytest.raises(UserError, match=rf"{torso.__name__}\.layer_norm is 1: give True or False"):
        torso(Seeds(0), layer_norm=1)


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


def test_random_shifts_move_whole_images_by_every_distance_alike():
    size, pixels = 12, 2
    image = np.random.default_rng(0).random((size, size, 3), np.float32)
    padded = np.pad(image, ((pixels, pixels), (pixels, pixels), (0, 0)), mode="edge")
    windows = {
        (row, column): padded[row : row + size, column : column + size]
        for row in range(2 * pixels + 1)
        for column in range(2 * pixels + 1)
    }
    images = tf.constant(np.repeat(image[None], 2_000, axis=0))
    shifted = RandomShift(pixels, intensity=0.0)(images, tf.constant([3, 4])).numpy()
    counts = [int((shifted == window).all(axis=(1, 2, 3)).sum()) for window in windows.values()]
    assert sum(counts) == 2_000
    assert scipy.stats.chisquare(counts).pvalue > 1e-3


def test_brightness_changes_each_image_by_a_clipped_normal():
    images = tf.ones([20_000, 2, 2, 1])
    changed = RandomShift(0, intensity=0.1)(images, tf.constant([3, 4])).numpy()
    factors = changed[:, 0, 0, 0]
    assert (changed == factors[:, None, None, None]).all()
    assert (factors.min(), factors.max()) == pytest.approx((0.8, 1.2))
    inner = factors[np.abs(factors - 1) < 0.199]
    expected = scipy.stats.truncnorm(-1.99, 1.99, loc=1, scale=0.1)
    assert scipy.stats.kstest(inner, expected.cdf).pvalue > 1e-3


def test_augmentation_repeats_with_its_seed():
    images = tf.constant(np.random.default_rng(0).random((4, 8, 8, 2), np.float32))
    shift = RandomShift()
    first, again, other = (
        shift(images, tf.constant(seed)).numpy() for seed in ([1, 2], [1, 2], [1, 3])
    )
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_an_impossible_augmentation_is_refused():
    with pytest.raises(UserError, match="0 or more"):
        RandomShift(pixels=-1)
