"""Torsos: from observations to features. Each is chosen by gin, never by the agent.

A torso holds its Keras `layers`, and two more things: `prepare`, pure TensorFlow from observations to
what the layers read (compiled by XLA, which is ten times faster here than TensorFlow's own kernels), and
`compile_update`, which says whether XLA is faster for the whole update too. Observations come as numbers
in float32: bytes as fractions, names as one-hot vectors (see `observations`).

Two methods are optional. A torso that is small enough to be computed in NumPy has `call_numpy` (see
`twins`; a subclass defines its own or acts with TensorFlow). A torso that needs to know more about
observations than their shape has `built_for(space, stack_size)`, which the network calls first.

Torsos are not Keras layers themselves: Keras inspects a layer's `__init__`, which gin wraps.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import gin
import gymnasium
import keras
import numpy as np
import tensorflow as tf

from dopamine_lite.common.checks import check_flag, check_whole
from dopamine_lite.common.errors import UserError
from dopamine_lite.common.seeding import Seeds
from dopamine_lite.networks.layers import MOST_UNITS
from dopamine_lite.networks.layers import initializer as _initializer
from dopamine_lite.networks.observations import reader_of
from dopamine_lite.networks.twins import brings_twin
from dopamine_lite.spaces.packed_space import PackedSpace
from dopamine_lite.spaces.pictures import MOST_CHANNELS, channel_axis

_LAYER_NORM_EPSILON = 1e-6  # added to the variance


class Torso(Protocol):
    """What a network asks of its torso. Built as `torso(seeds)`."""

    layers: keras.layers.Layer
    compile_update: bool

    def prepare(self, observations: tf.Tensor) -> tf.Tensor:
        """Observations [B, ...] float32 -> what `layers` reads.

        Observations with several entries come as a dictionary of such tensors.
        """


def prepared_shape(torso: Torso, space: gymnasium.Space) -> tuple[int, ...]:
    """The shape [...] of what a torso prepares from observations of `space`, without the batch's axis.

    Traced and not computed: of a transpose outside XLA, TensorFlow may complain aloud.
    """
    assert space.shape is not None and space.dtype is not None
    reader = reader_of(space)
    stored = tf.TensorSpec([None, *space.shape], tf.as_dtype(space.dtype))
    prepare = tf.function(lambda observations: torso.prepare(reader(observations)), autograph=False)
    return tuple(prepare.get_concrete_function(stored).structured_outputs.shape[1:])


def _dense(
    seeds: Seeds, name: str, units: int, kind: str, activation: str = "relu"
) -> keras.layers.Layer:
    return keras.layers.Dense(
        units, activation=activation, kernel_initializer=_initializer(kind, seeds, name), name=name
    )


def _convolution(
    seeds: Seeds, index: int, filters: int, kernel: int, strides: int, kind: str
) -> keras.layers.Layer:
    name = f"convolution_{index}"
    return keras.layers.Conv2D(
        filters,
        kernel,
        strides,
        padding="valid",
        activation="relu",
        kernel_initializer=_initializer(kind, seeds, name),
        name=name,
    )


def _normalised(
    layer: keras.layers.Dense | keras.layers.Conv2D, layer_norm: bool
) -> list[keras.layers.Layer]:
    """A layer with an activation; with `layer_norm`, its outputs are normalized before the activation.

    Over the units or, for convolutions, over the filters at each place (Ba et al. 2016).
    """
    if not layer_norm:
        return [layer]
    activation, layer.activation = layer.activation, keras.activations.linear
    return [
        layer,
        keras.layers.LayerNormalization(epsilon=_LAYER_NORM_EPSILON, name=f"{layer.name}_norm"),
        keras.layers.Activation(activation, name=f"{layer.name}_activation"),
    ]


def _normalised_numpy(outputs: np.ndarray, scale: np.ndarray, offset: np.ndarray) -> np.ndarray:
    """The normalization of `_normalised` in NumPy."""
    centred = outputs - outputs.mean(axis=-1, keepdims=True)
    variances = np.square(centred).mean(axis=-1, keepdims=True)
    return centred / np.sqrt(variances + np.float32(_LAYER_NORM_EPSILON)) * scale + offset


class PictureTorso:
    """What torsos for pictures share: rows and columns come first, channels last.

    Pictures are [height, width, channels], [channels, height, width] or [height, width]. The channels of
    a stack's frames are put side by side, the oldest frame's first.

    Args:
      channels: which axis of a picture holds its channels, "first" or "last"; None: whichever of the
        two has at most 4 entries.

    Raises:
      UserError: `channels` is something else.
    """

    least_size = 1  # rows and columns that the layers need

    def __init__(self, channels: str | None = None):
        if channels not in (None, "first", "last"):
            raise UserError(
                f'{self._name}.channels is {channels!r}: choose "first", "last" or None.'
            )
        self._channels = channels

    def built_for(self, space: gymnasium.Space, stack_size: int) -> None:
        """Finds the axes in observations of `space`; in stacks, the first axis is the frames'.

        Raises:
          UserError: the observations are not pictures, their shape does not say where the channels are,
            or they are too small.
        """
        assert space.shape is not None
        shape = space.shape[1:] if stack_size > 1 else space.shape
        if isinstance(space, PackedSpace) or len(shape) not in (2, 3):
            raise UserError(
                f"{self._name} reads pictures, [height, width] with or without channels, but an "
                f"observation is {space}: bind another torso, such as @MLP, or @DictTorso for several "
                "entries."
            )
        if len(shape) == 2:
            rows, columns, channels = 0, 1, []
        elif self._channels_come_first(shape):
            rows, columns, channels = 1, 2, [0]
        else:
            rows, columns, channels = 0, 1, [2]
        height, width = shape[rows], shape[columns]
        if min(height, width) < self.least_size:
            raise UserError(
                f"{self._name} needs pictures of {self.least_size} x {self.least_size} or more, but "
                f"these are {height} x {width}: bind @SmallCNN, or smaller convolutions."
            )
        frames = [0] if stack_size > 1 else []
        order = [axis + len(frames) for axis in (rows, columns)] + frames
        self._order = [*order, *(axis + len(frames) for axis in channels)]
        self._size = (height, width, math.prod(space.shape) // (height * width))

    def preparation_layers(self) -> list[keras.layers.Layer]:
        """`prepare` as Keras layers."""
        layers: list[keras.layers.Layer] = []
        if self._order != sorted(self._order):
            layers.append(keras.layers.Permute([axis + 1 for axis in self._order]))
        return layers if len(self._order) == 3 else [*layers, keras.layers.Reshape(self._size)]

    def prepare(self, observations: tf.Tensor) -> tf.Tensor:
        """Observations [B, ...] -> [B, height, width, channels of all frames]."""
        order = [0, *(axis + 1 for axis in self._order)]
        if order != sorted(order):
            observations = tf.transpose(observations, order)
        return tf.reshape(observations, [-1, *self._size])

    def _prepare_numpy(self, observations: np.ndarray) -> np.ndarray:
        """`prepare` in NumPy."""
        moved = observations.transpose(0, *(axis + 1 for axis in self._order))
        return moved.reshape(-1, *self._size)

    def _channels_come_first(self, shape: tuple[int, ...]) -> bool:
        if self._channels is not None:
            return self._channels == "first"
        axis = channel_axis(shape)
        if axis is None:
            raise UserError(
                f"{self._name} reads pictures, but the shape {shape} does not say which axis holds the "
                f"channels (the first or the last, only one of them with at most {MOST_CHANNELS}): bind "
                f'{self._name}.channels = "last" or "first".'
            )
        return axis == 0

    @property
    def _name(self) -> str:
        return type(self).__name__


class ConvolutionalTorso(PictureTorso):
    """Convolutions with ReLUs and 'valid' padding, then a fully connected layer.

    Args:
      seeds: seeds of the initial parameters.
      hidden_units: units of the layer after the convolutions; 0: no such layer, for a head that has its
        own.
      convolutions: filters, kernel size and stride of each convolution.
      initializer: initializer of the layers; "glorot_uniform", "dopamine_uniform", "torch_uniform" or
        "orthogonal".
      channels: see `PictureTorso`.
      layer_norm: normalize the outputs of each layer before its ReLU, of convolutions over the filters
        at each place (Ba et al. 2016).
    """

    compile_update = False  # measured: XLA brings nothing for convolutions on the CPU

    def __init__(
        self,
        seeds: Seeds,
        hidden_units: int,
        convolutions: Sequence[tuple[int, int, int]],
        initializer: str,
        channels: str | None,
        layer_norm: bool,
    ):
        check_whole(type(self).__name__, least=0, most=MOST_UNITS, hidden_units=hidden_units)
        check_flag(type(self).__name__, layer_norm=layer_norm)
        for size in convolutions:
            for number in size:
                check_whole(type(self).__name__, most=MOST_UNITS, convolutions=number)
        super().__init__(channels)
        for _, kernel, stride in reversed(convolutions):
            self.least_size = (self.least_size - 1) * stride + kernel
        self.layer_norm = layer_norm
        layers: list[keras.layers.Layer] = []
        for index, size in enumerate(convolutions):
            convolution = _convolution(seeds, index, *size, initializer)
            layers += _normalised(convolution, layer_norm)
        layers.append(keras.layers.Flatten())
        if hidden_units:
            layers += _normalised(_dense(seeds, "dense", hidden_units, initializer), layer_norm)
        self.layers = keras.Sequential(layers)


@gin.configurable
class NatureCNN(ConvolutionalTorso):
    """The convolutional torso of Mnih et al. (2015): 3 convolutions, 512 units, 'valid' padding.

    With the default convolutions, it reads pictures of at least 36 x 36, in stacks or not. Its features
    are [B, hidden_units] or, with 0 hidden units, the flattened outputs of the convolutions.

    Args:
      seeds, hidden_units, convolutions, initializer, channels, layer_norm: see
        `ConvolutionalTorso`.
    """

    def __init__(
        self,
        seeds: Seeds,
        hidden_units: int = 512,
        convolutions: Sequence[tuple[int, int, int]] = ((32, 8, 4), (64, 4, 2), (64, 3, 1)),
        initializer: str = "glorot_uniform",
        channels: str | None = None,
        layer_norm: bool = False,
    ):
        super().__init__(seeds, hidden_units, convolutions, initializer, channels, layer_norm)


@gin.configurable
class SmallCNN(ConvolutionalTorso):
    """A torso for small pictures: two 3 x 3 convolutions, the second with stride 2, and a layer.

    With the default convolutions, it reads pictures of at least 5 x 5, in stacks or not. Its features
    are [B, hidden_units] or, with 0 hidden units, the flattened outputs of the convolutions.

    Args:
      seeds, hidden_units, convolutions, initializer, channels, layer_norm: see
        `ConvolutionalTorso`.
    """

    def __init__(
        self,
        seeds: Seeds,
        hidden_units: int = 128,
        convolutions: Sequence[tuple[int, int, int]] = ((32, 3, 1), (64, 3, 2)),
        initializer: str = "glorot_uniform",
        channels: str | None = None,
        layer_norm: bool = False,
    ):
        super().__init__(seeds, hidden_units, convolutions, initializer, channels, layer_norm)


class _Residual(keras.layers.Layer):
    """x + convolution(relu(convolution(relu(x)))), twice in each section of the IMPALA torso."""

    def __init__(self, seeds: Seeds, filters: int, kind: str, name: str):
        super().__init__(name=name)
        self.convolutions = [
            keras.layers.Conv2D(
                filters,
                3,
                padding="same",
                kernel_initializer=_initializer(kind, seeds, f"{name}_{index}"),
                name=f"convolution_{index}",
            )
            for index in range(2)
        ]

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        outputs = inputs
        for convolution in self.convolutions:
            outputs = convolution(tf.nn.relu(outputs))
        return inputs + outputs


@gin.configurable
class ImpalaCNN(PictureTorso):
    """The residual torso of Espeholt et al. (2018), figure 3, right: 15 convolutions.

    It reads pictures of any size, in stacks or not. Its features are [B, hidden_units] or, with 0 hidden
    units, the flattened outputs of the convolutions.

    Args:
      seeds: seeds of the initial parameters.
      nn_scale: multiplies the number of filters in the three sections, 16, 32 and 32.
      hidden_units: units of the layer after the convolutions; 0: no such layer.
      initializer: initializer of the layers; "glorot_uniform", "dopamine_uniform", "torch_uniform" or
        "orthogonal".
      channels: see `PictureTorso`.
    """

    compile_update = False

    def __init__(
        self,
        seeds: Seeds,
        nn_scale: int = 1,
        hidden_units: int = 512,
        initializer: str = "glorot_uniform",
        channels: str | None = None,
    ):
        check_whole("ImpalaCNN", most=1_000, nn_scale=nn_scale)
        check_whole("ImpalaCNN", least=0, most=MOST_UNITS, hidden_units=hidden_units)
        super().__init__(channels)
        layers: list[keras.layers.Layer] = []
        for section, width in enumerate((16, 32, 32)):
            filters = width * nn_scale
            layers += [
                keras.layers.Conv2D(
                    filters,
                    3,
                    padding="same",
                    kernel_initializer=_initializer(initializer, seeds, f"section_{section}"),
                    name=f"section_{section}",
                ),
                keras.layers.MaxPooling2D(3, 2, padding="same"),
            ]
            layers += [
                _Residual(seeds, filters, initializer, f"residual_{section}_{block}")
                for block in range(2)
            ]
        layers += [keras.layers.ReLU(), keras.layers.Flatten()]
        if hidden_units:
            layers.append(_dense(seeds, "dense", hidden_units, initializer))
        self.layers = keras.Sequential(layers)


class PatchConvolution(keras.layers.Conv2D):
    """A convolution with stride 1 and 'valid' padding, as one product of the patches and the kernel.

    XLA on the CPU computes small ones four times faster than `Conv2D`, and then the rest of an
    update, which it fuses, is faster than TensorFlow's too.
    """

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """[B, height, width, channels] -> [B, height - rows + 1, width - columns + 1, filters]."""
        rows, columns, channels, filters = self.kernel.shape
        height, width = inputs.shape[1] - rows + 1, inputs.shape[2] - columns + 1
        shifted = [
            inputs[:, row : row + height, column : column + width]
            for row in range(rows)
            for column in range(columns)
        ]
        patches = tf.reshape(tf.concat(shifted, axis=-1), [-1, rows * columns * channels])
        outputs = patches @ tf.reshape(self.kernel, [-1, filters]) + self.bias
        return self.activation(tf.reshape(outputs, [-1, height, width, filters]))


@gin.configurable
class MinAtarCNN(PictureTorso):
    """The torso of Young and Tian (2019) for MinAtar: one 3x3 convolution of 16 filters, 128 units.

    It reads pictures [height, width, channels] of at least 3 x 3, such as MinAtar's 10 x 10, in stacks
    or not. Its features are [B, hidden_units] or, with 0 hidden units, the flattened outputs of the
    convolution.

    Args:
      seeds: seeds of the initial parameters.
      hidden_units: units of the layer after the convolution; 0: no such layer.
      initializer: initializer of the layers; "glorot_uniform", "dopamine_uniform", "torch_uniform" or
        "orthogonal".
      layer_norm: normalize the outputs of each layer before its ReLU, of the convolution over the
        filters at each place (Ba et al. 2016).
    """

    compile_update = True
    least_size = 3

    def __init__(
        self,
        seeds: Seeds,
        hidden_units: int = 128,
        initializer: str = "glorot_uniform",
        layer_norm: bool = False,
    ):
        check_whole("MinAtarCNN", least=0, most=MOST_UNITS, hidden_units=hidden_units)
        check_flag("MinAtarCNN", layer_norm=layer_norm)
        super().__init__()
        self.layer_norm = layer_norm
        name = "convolution_0"
        kernel = _initializer(initializer, seeds, name)
        convolution = PatchConvolution(
            16, 3, activation="relu", kernel_initializer=kernel, name=name
        )
        layers = [*_normalised(convolution, layer_norm), keras.layers.Flatten()]
        if hidden_units:
            layers += _normalised(_dense(seeds, "dense", hidden_units, initializer), layer_norm)
        self.layers = keras.Sequential(layers)

    def call_numpy(self, observations: np.ndarray, weights: Sequence[np.ndarray]) -> np.ndarray:
        """`prepare` and `layers` in NumPy."""
        own = 4 if self.layer_norm else 2
        kernel, bias, *norm = weights[:own]
        pictures = self._prepare_numpy(observations)
        patches = np.lib.stride_tricks.sliding_window_view(pictures, (3, 3), axis=(1, 2))
        patches = patches.transpose(0, 1, 2, 4, 5, 3)  # [B, height - 2, width - 2, 3, 3, channels]
        rows = patches.reshape(-1, kernel.size // kernel.shape[-1])
        outputs = rows @ kernel.reshape(-1, kernel.shape[-1]) + bias
        if self.layer_norm:
            outputs = _normalised_numpy(outputs, *norm)
        outputs = np.maximum(outputs, 0).reshape(len(observations), -1)
        return _dense_numpy(outputs, weights[own:], layer_norm=self.layer_norm)

    def _channels_come_first(self, shape: tuple[int, ...]) -> bool:
        if channel_axis(shape) == 0:  # as many as in MinAtar are last, whatever the shape
            raise UserError(
                f"MinAtarCNN reads pictures [height, width, channels], but observations are {shape}: "
                "bind @SmallCNN."
            )
        return False


def _relu(outputs: np.ndarray) -> np.ndarray:
    return np.maximum(outputs, 0)


_ACTIVATIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {"relu": _relu, "tanh": np.tanh}


def _dense_numpy(
    outputs: np.ndarray,
    weights: Sequence[np.ndarray],
    activation: Callable[[np.ndarray], np.ndarray] = _relu,
    layer_norm: bool = False,
) -> np.ndarray:
    own = 4 if layer_norm else 2  # arrays of a layer
    for start in range(0, len(weights), own):
        kernel, bias, *norm = weights[start : start + own]
        outputs = outputs @ kernel + bias
        outputs = activation(_normalised_numpy(outputs, *norm) if layer_norm else outputs)
    return outputs


@gin.configurable
class MLP:
    """Fully connected layers over the flattened observation.

    It reads observations [B, ...]; if they have several entries, these are flattened and put side by
    side. Its features are [B, hidden_units[-1]].

    Args:
      seeds: seeds of the initial parameters.
      hidden_units: the number of units in each layer.
      initializer: initializer of the layers; "glorot_uniform", "dopamine_uniform", "torch_uniform" or
        "orthogonal".
      activation: activation function of each layer, "relu" or "tanh".
      layer_norm: normalize the outputs of each layer before its activation function (Ba et al. 2016).
    """

    compile_update = True

    def __init__(
        self,
        seeds: Seeds,
        hidden_units: Sequence[int] = (64, 64),
        initializer: str = "glorot_uniform",
        activation: str = "relu",
        layer_norm: bool = False,
    ):
        check_flag("MLP", layer_norm=layer_norm)
        if activation not in _ACTIVATIONS:
            raise UserError(
                f"MLP.activation is {activation!r}: choose one of {', '.join(_ACTIVATIONS)}."
            )
        for units in hidden_units:
            check_whole("MLP", most=MOST_UNITS, hidden_units=units)
        self._activation = _ACTIVATIONS[activation]
        self.layer_norm = layer_norm
        layers: list[keras.layers.Layer] = []
        for index, units in enumerate(hidden_units):
            dense = _dense(seeds, f"dense_{index}", units, initializer, activation)
            layers += _normalised(dense, layer_norm)
        self.layers = keras.Sequential(layers)

    @staticmethod
    def preparation_layers() -> list[keras.layers.Layer]:
        """`prepare` as Keras layers."""
        return [keras.layers.Flatten()]

    @staticmethod
    def prepare(observations: tf.Tensor | Mapping[str, tf.Tensor]) -> tf.Tensor:
        """[B, ...] -> [B, size]."""
        if isinstance(observations, Mapping):
            return tf.concat([MLP.prepare(entry) for entry in observations.values()], axis=1)
        return tf.reshape(observations, [-1, math.prod(observations.shape[1:])])

    def call_numpy(self, observations: Any, weights: Sequence[np.ndarray]) -> np.ndarray:
        """`prepare` and `layers` in NumPy, ten times faster for a handful of observations."""
        flat = _flat_numpy(observations)
        return _dense_numpy(flat, weights, self._activation, self.layer_norm)


def _flat_numpy(observations: np.ndarray | Mapping[str, np.ndarray]) -> np.ndarray:
    """`MLP.prepare` in NumPy."""
    if isinstance(observations, Mapping):
        return np.concatenate([_flat_numpy(entry) for entry in observations.values()], axis=1)
    return observations.reshape(len(observations), -1)


@gin.configurable
class DictTorso:
    """A torso for each entry of observations that are dictionaries or tuples, and a joint layer.

    It reads observations of a `PackedSpace`. Its features are [B, hidden_units] or, with 0 hidden units,
    the features of the torsos side by side.

    Args:
      seeds: seeds of the initial parameters.
      torsos: the torsos by the names of the entries, such as {"picture": @NatureCNN, "speed": @MLP}. An
        entry of an inner dictionary is called "outer/inner", and the entries of a tuple are called "0",
        "1" and so on.
      hidden_units: units of the layer that joins the torsos; 0: no such layer.
      initializer: initializer of the layer that joins the torsos; "glorot_uniform",
        "dopamine_uniform", "torch_uniform" or "orthogonal".
    """

    def __init__(
        self,
        seeds: Seeds,
        torsos: Mapping[str, Callable[[Seeds], Torso]] = gin.REQUIRED,
        hidden_units: int = 128,
        initializer: str = "glorot_uniform",
    ):
        # Sorted as in a run's config.gin, for the order of the parameters is theirs.
        self._torsos: dict[str, Any] = {
            name: torso(seeds.child(name)) for name, torso in sorted(torsos.items())
        }
        joint = _dense(seeds, "joint", hidden_units, initializer) if hidden_units else None
        self.layers = _EachItsOwn([torso.layers for torso in self._torsos.values()], joint)
        self.compile_update = all(torso.compile_update for torso in self._torsos.values())
        if all(map(brings_twin, self._torsos.values())):
            self.call_numpy = self._call_numpy

    def built_for(self, space: gymnasium.Space, stack_size: int) -> None:
        """Tells each torso about its entry.

        Raises:
          UserError: observations have no entries, or other entries than `torsos`, or a torso cannot
            read its entry.
        """
        if not isinstance(space, PackedSpace):
            raise UserError(
                f"DictTorso reads dictionaries and tuples, but an observation is {space}: bind "
                "another torso, such as @MLP."
            )
        if space.entries.keys() != self._torsos.keys():
            raise UserError(
                f"DictTorso.torsos has {', '.join(self._torsos)}, but the entries of an observation are "
                f"{', '.join(space.entries)}: bind one torso for each."
            )
        entries = space.stacked_entries()
        for name, torso in self._torsos.items():
            if hasattr(torso, "built_for"):
                torso.built_for(entries[name], stack_size)
        self.layers.shapes = [
            prepared_shape(torso, entries[name]) for name, torso in self._torsos.items()
        ]

    def prepare(self, observations: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """The entries [B, ...] -> what their torsos prepare, side by side in one row [B, numbers]."""
        return MLP.prepare(
            {name: torso.prepare(observations[name]) for name, torso in self._torsos.items()}
        )

    def _call_numpy(
        self, observations: Mapping[str, np.ndarray], weights: Sequence[np.ndarray]
    ) -> np.ndarray:
        """`prepare` and `layers` in NumPy."""
        features = []
        for name, torso in self._torsos.items():
            own = len(torso.layers.trainable_variables)
            features.append(torso.call_numpy(observations[name], weights[:own]))
            weights = weights[own:]
        return _dense_numpy(np.concatenate(features, axis=1), weights)


class _EachItsOwn(keras.layers.Layer):
    """Rows [B, numbers] in parts of `shapes`, each through layers of its own, then all through one."""

    def __init__(self, parts: Sequence[keras.layers.Layer], joint: keras.layers.Layer | None):
        super().__init__(name="entries")
        self.shapes: Any = ()
        self.parts, self.joint = list(parts), joint

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        features, start = [], 0
        for layers, shape in zip(self.parts, self.shapes, strict=True):
            stop = start + math.prod(shape)
            features.append(layers(tf.reshape(inputs[:, start:stop], [-1, *shape])))
            start = stop
        joined = tf.concat([MLP.prepare(part) for part in features], axis=1)
        return self.joint(joined) if self.joint else joined
