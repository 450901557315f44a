"""Trained policies as files that run without this package."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import gymnasium
import keras
import tensorflow as tf

from dopamine_lite.common.errors import UserError
from dopamine_lite.networks.network import Network
from dopamine_lite.networks.observations import Numbers
from dopamine_lite.networks.twins import agree, example_observations
from dopamine_lite.spaces.packed_space import PackedSpace

_EXAMPLES = 4  # observations that compare a Keras model with the network

PolicyFunction = Callable[[tf.Tensor], dict[str, tf.Tensor]]


def save_savedmodel(
    policy: PolicyFunction,
    variables: Sequence[tf.Variable],
    observation_space: gymnasium.Space,
    path: Path,
) -> None:
    """Writes `policy` as a SavedModel: its `serving_default` takes `observations` [B, ...].

    If an observation has several entries, the SavedModel takes each entry by its name, and `policy` gets
    them all in a dictionary.

    Args:
      policy: a TensorFlow function from observations to a dictionary of outputs.
      variables: the variables that `policy` reads.
      observation_space: the space of one observation, including the axis of a stack.
      path: the directory to write.
    """
    module = tf.Module()
    module.own_variables = list(variables)
    inputs: Any = _batch_of(observation_space, "observations")
    if isinstance(observation_space, PackedSpace):
        entries = observation_space.stacked_entries()
        inputs = {name: _batch_of(space, name) for name, space in entries.items()}
    module.policy = tf.function(policy, input_signature=[inputs], autograph=False)
    tf.saved_model.save(module, str(path), signatures=module.policy.get_concrete_function())


def _batch_of(space: Any, name: str) -> tf.TensorSpec:
    return tf.TensorSpec([None, *space.shape], tf.as_dtype(space.dtype), name=name)


def keras_model(network: Network) -> keras.Sequential:
    """The network as a Keras model of Keras's own layers, from observations to the network's outputs.

    Raises:
      UserError: the network has layers, or a preparation of observations, that Keras does not know, or
        the model does not compute the same numbers as the network.
    """
    if lacking := _lacks_for_keras(network):
        raise UserError(f"{lacking} Or export it with `format` savedmodel.")
    torso: Any = network.torso
    reader: Any = network.reader
    scaling = [keras.layers.Rescaling(1 / 255)] if reader.divided_by_255 else []
    layers = [*_single_layers(torso.layers), *network.head.layers]
    model = keras.Sequential(
        [
            keras.Input(network.input.shape[1:]),
            *scaling,
            *torso.preparation_layers(),
            *(_of_keras(layer) for layer in layers),
        ]
    )
    model.set_weights([weight for layer in layers for weight in layer.get_weights()])

    # With XLA, because TensorFlow prints complaints about a transpose of bytes outside it.
    @tf.function(jit_compile=True, autograph=False)
    def both(observations: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        outputs = network.head.values(network(network.prepare(observations)))
        return outputs, model(observations)

    # A subclass of one of our classes, or of Keras's, may compute something else.
    outputs, of_model = both(example_observations(network.observation_space, _EXAMPLES))
    if not agree(outputs.numpy(), of_model.numpy()):
        raise UserError(
            f"A {type(torso).__name__} with a {type(network.head).__name__} like this one does not "
            "compute the same numbers as its layers do in Keras alone: export it with `format` "
            "savedmodel."
        )
    return model


def _lacks_for_keras(network: Network) -> str | None:
    """A sentence on the reason why a network cannot become a Keras model of layers, if there is one."""
    torso, head = network.torso, network.head
    torso_name, head_name = type(torso).__name__, type(head).__name__
    if not isinstance(network.reader, Numbers):
        return (
            "A Keras model cannot contain how this network reads observations that are names or have "
            f"several entries: train this {torso_name} on observations that are one array of numbers."
        )
    if not hasattr(torso, "preparation_layers"):
        return (
            f"A {torso_name} has no `preparation_layers`, which a Keras model needs: add this method, "
            "which returns a list of Keras's own layers that do what `prepare` does; see MLP in "
            "dopamine_lite/networks/torsos/mlp.py."
        )
    for layer in _single_layers(torso.layers):
        if _keras_class(layer) is keras.layers.Layer:
            return (
                f"A {torso_name} has a layer of the class {type(layer).__name__}, which is not one of "
                "Keras's own: build the torso of layers from keras.layers."
            )
    if len(head.layers) != 1 or not isinstance(head.layers[0], keras.layers.Dense):
        said = head.describe()
        settings = {"dueling": "dueling", "noisy": "noisy", "head_hidden_units": "hidden_units"}
        parts = [setting for name, setting in settings.items() if said.get(name)]
        because = f" with {' and '.join(parts)}" if parts else ""
        return (
            f"A {head_name}{because} is more than the single Dense layer that a Keras model can end "
            "with: train a plain one."
        )
    return None


def _single_layers(layers: keras.layers.Layer) -> list[keras.layers.Layer]:
    """The layers of a Sequential, or the layer itself."""
    return list(layers.layers) if isinstance(layers, keras.Sequential) else [layers]


def _of_keras(layer: keras.layers.Layer) -> keras.layers.Layer:
    """A new layer of `layer`'s Keras class, or of the Keras class that its class extends."""
    return _keras_class(layer).from_config(layer.get_config())


def _keras_class(layer: keras.layers.Layer) -> Any:
    """The Keras class of a layer, or the Keras class that its class extends."""
    return next(parent for parent in type(layer).__mro__ if parent.__module__.startswith("keras."))
