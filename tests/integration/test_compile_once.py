"""Equal graphs share a program in the tests, and no others do."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf


def learner(step: float) -> tuple[tf.Variable, tf.types.experimental.ConcreteFunction]:
    """A weight and a compiled function that takes three steps, as agents' updates do."""
    layer = keras.layers.Dense(1, kernel_initializer="ones", use_bias=False)
    layer.build((None, 2))
    captured = tf.constant([step])

    def update(inputs: tf.Tensor) -> None:
        for _ in tf.range(3):
            with tf.GradientTape() as tape:
                loss = tf.reduce_sum(layer(inputs))
            (gradient,) = tape.gradient(loss, [layer.kernel.value])
            layer.kernel.value.assign_sub(captured * gradient)

    signature = [tf.TensorSpec([1, 2])]
    compiled = tf.function(update, jit_compile=True, input_signature=signature)
    return layer.kernel.value, compiled.get_concrete_function()


def test_equal_graphs_have_one_name_and_variables_of_their_own():
    (first, update), (second, again) = learner(0.5), learner(0.5)
    assert update.name == again.name
    update(tf.constant([[1.0, 2.0]]))
    np.testing.assert_array_equal(first, [[-0.5], [-2.0]])
    np.testing.assert_array_equal(second, [[1.0], [1.0]])
    again(tf.constant([[0.0, 2.0]]))
    np.testing.assert_array_equal(second, [[1.0], [-2.0]])


def test_another_constant_is_another_graph():
    (_, update), (weight, other) = learner(0.5), learner(1.0)
    assert update.name != other.name
    other(tf.constant([[1.0, 2.0]]))
    np.testing.assert_array_equal(weight, [[-2.0], [-5.0]])
