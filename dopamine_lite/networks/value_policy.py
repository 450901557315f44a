"""Uses of a network of action values besides acting: export and explanation."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import gymnasium
import numpy as np
import tensorflow as tf

from dopamine_lite.common.errors import UserError
from dopamine_lite.networks.export import keras_model, save_savedmodel
from dopamine_lite.networks.heads import QHead
from dopamine_lite.networks.network import Network


class ValuePolicy:
    """The greedy policy of a network of action values.

    Args:
      network: the network.
      space: the space of observations as they are stored.
      first_action: the number of the environment's first action, which is 0 in the network.
    """

    def __init__(self, network: Network, space: gymnasium.Space, first_action: int):
        self._network = network
        self._space = space
        self._first_action = first_action
        self._explaining: Callable[..., dict[str, tf.Tensor]] | None = None  # made on demand

    def export(self, path: Path, format: str = "savedmodel") -> None:
        """Writes action values and, in a SavedModel, also the greedy actions.

        Raises:
          UserError: the format is a Keras model, and its outputs would not be action values.
        """
        network = self._network
        if format == "keras":
            if not isinstance(network.head, QHead):
                raise UserError(
                    f"The outputs of a {type(network.head).__name__} are not action values: export it "
                    "with `format` savedmodel."
                )
            keras_model(network).save(path.with_suffix(".keras"))
            path.with_suffix(".keras").replace(path)
            return
        seed = tf.constant([0, 0]) if network.head.random_in_evaluation else None

        def policy(observations: tf.Tensor) -> dict[str, tf.Tensor]:
            values = network.head.values(network(network.prepare(observations), seed))
            return {"actions": tf.argmax(values, axis=1) + self._first_action, "values": values}

        save_savedmodel(policy, network.variables, self._space, path)

    def explain(self, observations: np.ndarray) -> dict[str, np.ndarray]:
        """The fields of an `Explanation`, by name, for observations [N, ...]; nothing is drawn."""
        if self._explaining is None:
            self._explaining = self._compile_explanation()
        found = self._explaining(tf.constant(observations))
        return {name: tensor.numpy() for name, tensor in found.items()}

    def _compile_explanation(self) -> Callable[..., dict[str, tf.Tensor]]:
        network = self._network
        prepare = tf.function(network.prepare, jit_compile=True, autograph=False)

        def explain(observations: tf.Tensor) -> dict[str, tf.Tensor]:
            return self._explained(network.features(prepare(observations)))

        return tf.function(
            explain, input_signature=[network.input], autograph=False
        ).get_concrete_function()

    def _explained(self, features: tf.Tensor) -> dict[str, tf.Tensor]:
        head = self._network.head
        if hasattr(head, "explained_outputs"):
            outputs = head.explained_outputs(features)
        else:
            seed = tf.constant([0, 0]) if head.random_in_evaluation else None  # always the same
            outputs = head(features, seed)
        further = head.distributions(outputs) if hasattr(head, "distributions") else {}
        return {"action_values": head.values(outputs), **further}
