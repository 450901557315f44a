"""The categorical projection, targets and losses against tables and the paper's algorithm 1."""

import numpy as np
import pytest
import tensorflow as tf

from dopamine_lite.losses import categorical


@pytest.mark.parametrize(
    ("vmin", "vmax", "num_atoms", "atoms"),
    [
        (-1.0, 1.0, 3, [-1, 0, 1]),
        (0.0, 10.0, 5, [0, 2.5, 5, 7.5, 10]),
        (-3.0, 0.0, 4, [-3, -2, -1, 0]),
        (0.0, 1.0, 2, [0, 1]),
    ],
)
def test_support(vmin, vmax, num_atoms, atoms):
    support = categorical.support(vmin, vmax, num_atoms)
    assert support.dtype == tf.float32
    np.testing.assert_array_equal(support, atoms)


@pytest.mark.parametrize(
    ("vmin", "vmax", "num_atoms", "words"),
    [
        (1.0, 1.0, 3, "vmin must be below vmax"),
        (10.0, -10.0, 51, "vmin is 10.0 and vmax is -10.0"),
        (float("nan"), 1.0, 3, "vmin must be below vmax"),
        (0.0, 1.0, 1, "at least 2 atoms, not 1"),
    ],
)
def test_impossible_supports_are_refused(vmin, vmax, num_atoms, words):
    with pytest.raises(ValueError, match=words):
        categorical.support(vmin, vmax, num_atoms)


def test_values():
    # Action 0 is sure of 1, action 1 believes in 0, 1 and 5 with 1/2, 1/4 and 1/4.
    logits = tf.math.log([[[1e-30, 1.0, 1e-30], [4.0, 2.0, 2.0]]])
    np.testing.assert_allclose(
        categorical.values(logits, tf.constant([0.0, 1.0, 5.0])), [[1, 1.5]], rtol=1e-6
    )


def test_select():
    logits = tf.reshape(tf.range(12.0), [2, 3, 2])
    np.testing.assert_array_equal(categorical.select(logits, tf.constant([2, 0])), [[4, 5], [6, 7]])


@pytest.mark.parametrize(
    ("returns", "probabilities", "projected"),
    [
        ([0.0, 1.0, 2.0], [0.2, 0.3, 0.5], [0.2, 0.3, 0.5]),  # on the atoms: nothing is lost
        ([2.0, 0.0, 1.0], [0.2, 0.3, 0.5], [0.3, 0.5, 0.2]),  # in any order
        ([0.5, 1.5, 1.5], [0.2, 0.3, 0.5], [0.1, 0.5, 0.4]),  # halfway
        ([0.25, 0.25, 1.0], [0.4, 0.4, 0.2], [0.6, 0.4, 0.0]),  # three quarters to the nearer
        ([-7.0, -0.1, 9.0], [0.2, 0.3, 0.5], [0.5, 0.0, 0.5]),  # outside: the ends
        ([1.0, 1.0, 1.0], [0.2, 0.3, 0.5], [0.0, 1.0, 0.0]),  # a terminal step with return 1
        ([np.inf, -np.inf, 0.0], [0.2, 0.3, 0.5], [0.8, 0.0, 0.2]),
    ],
)
def test_projection(returns, probabilities, projected):
    result = categorical.project(
        tf.constant([returns]), tf.constant([probabilities]), tf.constant([0.0, 1.0, 2.0])
    )
    np.testing.assert_allclose(result, [projected], atol=1e-7)


def algorithm_1(returns, probabilities, support):
    """The loop of Bellemare et al. 2017 in float64, with the share for l = u that it leaves out."""
    spacing = (support[-1] - support[0]) / (len(support) - 1)
    projected = np.zeros(len(support))
    for value, probability in zip(returns, probabilities, strict=True):
        position = (np.clip(value, support[0], support[-1]) - support[0]) / spacing
        lower, upper = int(np.floor(position)), int(np.ceil(position))
        if lower == upper:
            projected[lower] += probability
        else:
            projected[lower] += probability * (upper - position)
            projected[upper] += probability * (position - lower)
    return projected


@pytest.mark.parametrize(
    ("vmin", "vmax", "num_atoms"),
    [(-10.0, 10.0, 51), (0.0, 10.0, 51), (-10.0, 0.0, 21), (-0.1, 7.3, 2), (1.0, 3.0, 7)],
)
@pytest.mark.parametrize("discount", [0.0, 0.5, 0.99, 1.0])
def test_projection_is_that_of_algorithm_1(vmin, vmax, num_atoms, discount):
    random = np.random.default_rng(1)
    support = np.linspace(vmin, vmax, num_atoms)
    # From nowhere near the support through both of its ends, and zero, where atoms meet atoms.
    returns = np.concatenate([[0.0], random.uniform(-2 * vmax - 5, 2 * vmax + 5, 31)])
    target_support = returns[:, None] + discount * support
    probabilities = random.dirichlet(np.ones(num_atoms), 32)
    expected = [
        algorithm_1(*row, support) for row in zip(target_support, probabilities, strict=True)
    ]
    projected = categorical.project(
        tf.constant(target_support, tf.float32),
        tf.constant(probabilities, tf.float32),
        categorical.support(vmin, vmax, num_atoms),
    )
    np.testing.assert_allclose(projected, expected, atol=1e-5)
    np.testing.assert_allclose(tf.reduce_sum(projected, axis=1), np.ones(32), atol=1e-6)


def test_projection_keeps_the_mass_of_each_atom_exactly():
    support = categorical.support(-10.0, 10.0, 51)
    returns = np.random.default_rng(2).uniform(-12, 12, [10_000, 1]).astype(np.float32)
    probabilities = tf.one_hot(tf.zeros(10_000, tf.int32), 51)
    projected = categorical.project(tf.tile(returns, [1, 51]), probabilities, support)
    np.testing.assert_array_equal(np.sum(projected, axis=1, dtype=np.float64), np.ones(10_000))


def test_projection_keeps_the_mean_of_what_lies_inside():
    random = np.random.default_rng(3)
    support = categorical.support(-10.0, 10.0, 51)
    returns = random.uniform(-10, 10, [16, 51]).astype(np.float32)
    probabilities = random.dirichlet(np.ones(51), 16).astype(np.float32)
    projected = categorical.project(tf.constant(returns), tf.constant(probabilities), support)
    np.testing.assert_allclose(
        np.sum(projected * support, axis=1), np.sum(returns * probabilities, axis=1), atol=1e-5
    )


def test_targets():
    # Atoms 0, 1, 2. The first step goes on: 1 + 0.5 z is 1, 1.5, 2 under action 1's
    # 1/4, 1/2, 1/4. The second ends with a return of 0.75, whatever its next action's logits.
    logits = tf.math.log([[[9.0, 1.0, 1.0], [1.0, 2.0, 1.0]], [[1.0, 5.0, 1.0], [3.0, 1.0, 1.0]]])
    targets = categorical.targets(
        tf.constant([1.0, 0.75]),
        tf.constant([0.5, 0.0]),
        logits,
        tf.constant([1, 0]),
        tf.constant([0.0, 1.0, 2.0]),
    )
    np.testing.assert_allclose(targets, [[0, 0.5, 0.5], [0.25, 0.75, 0]], atol=1e-6)


def test_targets_carry_no_gradient():
    logits = tf.Variable(tf.ones([1, 2, 3]))
    with tf.GradientTape() as tape:
        targets = categorical.targets(
            tf.ones([1]), tf.ones([1]), logits, tf.constant([0]), tf.constant([0.0, 1.0, 2.0])
        )
    assert tape.gradient(targets, logits) is None


LOSSES = [  # prediction, target, cross entropy, KL divergence
    ([0.5, 0.5], [0.5, 0.5], np.log(2), 0.0),
    ([0.25, 0.75], [1.0, 0.0], np.log(4), np.log(4)),
    ([0.5, 0.5], [0.25, 0.75], np.log(2), 0.25 * np.log(0.5) + 0.75 * np.log(1.5)),
    ([0.2, 0.8], [0.0, 1.0], np.log(1.25), np.log(1.25)),
]


@pytest.mark.parametrize(("prediction", "target", "cross_entropy", "divergence"), LOSSES)
def test_losses(prediction, target, cross_entropy, divergence):
    logits = 3.0 + tf.math.log([prediction])  # logits are known up to a constant
    target = tf.constant([target])
    np.testing.assert_allclose(categorical.cross_entropy(logits, target), [cross_entropy], 1e-6)
    np.testing.assert_allclose(
        categorical.kl_divergence(logits, target), [divergence], rtol=1e-6, atol=1e-7
    )


@pytest.mark.parametrize("loss", [categorical.cross_entropy, categorical.kl_divergence])
def test_gradients_match_finite_differences(loss):
    logits = np.array([[0.3, -1.2, 2.0], [0.0, 0.5, -0.5]])
    target = tf.constant([[0.0, 0.4, 0.6], [1.0, 0.0, 0.0]], tf.float64)
    numeric = np.zeros_like(logits)
    for index in np.ndindex(*logits.shape):
        step = np.zeros_like(logits)
        step[index] = 1e-5
        rise = loss(tf.constant(logits + step), target) - loss(tf.constant(logits - step), target)
        numeric[index] = np.sum(rise) / 2e-5
    variable = tf.Variable(logits)
    with tf.GradientTape() as tape:
        tape.watch(target)
        total = tf.reduce_sum(loss(variable, target))
    gradient, through_target = tape.gradient(total, [variable, target])
    np.testing.assert_allclose(gradient, numeric, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(gradient, tf.nn.softmax(variable) - target, atol=1e-12)
    assert through_target is None


def test_compiled_functions_agree_with_eager_ones():
    def step(returns, discounts, next_logits, logits):
        support = categorical.support(-10.0, 10.0, 51)
        next_actions = tf.argmax(
            categorical.values(next_logits, support), axis=1, output_type=tf.int32
        )
        target = categorical.targets(returns, discounts, next_logits, next_actions, support)
        return (
            target,
            categorical.cross_entropy(logits, target),
            categorical.kl_divergence(logits, target),
        )

    random = np.random.default_rng(4)
    shapes = [[8], [8], [8, 4, 51], [8, 51]]
    inputs = [tf.constant(random.normal(size=shape), tf.float32) for shape in shapes]
    for compiled, eager in zip(
        tf.function(step, jit_compile=True)(*inputs), step(*inputs), strict=True
    ):
        assert compiled.dtype == tf.float32
        np.testing.assert_allclose(compiled, eager, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "call",
    [
        lambda: categorical.values(tf.zeros([2, 3]), tf.zeros([3])),
        lambda: categorical.values(tf.zeros([2, 4, 3]), tf.zeros([4])),
        lambda: categorical.values(tf.zeros([2, 4, 3]), tf.zeros([1, 3])),
        lambda: categorical.select(tf.zeros([2, 4, 3]), tf.zeros([3], tf.int32)),
        lambda: categorical.project(tf.zeros([2, 3]), tf.zeros([3]), tf.zeros([3])),
        lambda: categorical.project(tf.zeros([2, 3]), tf.zeros([2, 3]), tf.zeros([4])),
        lambda: categorical.targets(
            tf.zeros([2, 1]), tf.zeros([2]), tf.zeros([2, 4, 3]), tf.zeros([2], tf.int32), [0, 1, 2]
        ),
        lambda: categorical.targets(
            tf.zeros([2]),
            tf.zeros([1]),
            tf.zeros([2, 4, 3]),
            tf.zeros([2], tf.int32),
            tf.zeros([3]),
        ),
        lambda: categorical.cross_entropy(tf.zeros([2, 3]), tf.zeros([3])),
        lambda: categorical.cross_entropy(tf.zeros([2, 3]), tf.zeros([1, 3])),
        lambda: categorical.kl_divergence(tf.zeros([2, 4, 3]), tf.zeros([2, 4, 3])),
    ],
)
def test_wrong_shapes_are_refused(call):
    with pytest.raises(ValueError, match=r"[Ss]hape|rank"):
        call()
