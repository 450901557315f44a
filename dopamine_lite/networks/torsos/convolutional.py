"""Convolutional torsos for pictures, from MinAtar's to IMPALA's residual torso."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

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
from dopamine_lite.networks.torsos.mlp import dense, dense_numpy, normalized, normalized_numpy
from dopamine_lite.networks.torsos.pictures import PictureTorso
from dopamine_lite.spaces.pictures import channel_axis

# Keras's names of the precisions. Parameters and their gradients are always float32.
_PRECISIONS = {"float32": "float32", "bfloat16": "mixed_bfloat16"}


def _dtype(owner: str, precision: str) -> str:
    """The layers' dtype for a `precision`; raises UserError if there is no such precision."""
    if precision not in _PRECISIONS:
        raise UserError(
            f"{owner}.precision is {precision!r}: choose one of {', '.join(_PRECISIONS)}."
        )
    return _PRECISIONS[precision]


def _with_float32_features(layers: Sequence[keras.layers.Layer]) -> keras.Sequential:
    """The layers in their own precision, and a cast of their output if it is not float32."""
    is_float32 = layers[-1].compute_dtype == "float32"
    cast = keras.layers.Activation("linear", dtype="float32", name="in_float32")
    return keras.Sequential([*layers, *([] if is_float32 else [cast])])


def _convolution(
    seeds: Seeds, index: int, filters: int, kernel: int, strides: int, kind: str, dtype: str
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
        dtype=dtype,
    )


class ConvolutionalTorso(PictureTorso):
    """Convolutions with ReLUs and 'valid' padding, then a fully connected layer.

    Where a stride does not fit the size of a picture, 'valid' padding leaves the last rows and columns
    unread, and a stride above its kernel's size leaves gaps: `unread` says how many rows and columns. A
    subclass whose `reads_to_the_edges` is True adds rows and columns of zeros at the end instead.

    Args:
      seeds: seeds of the initial parameters.
      hidden_units: the units of the layer after the convolutions; 0: no such layer, for a head that has
        its own.
      convolutions: the filters, the kernel size and the stride of each convolution.
      initializer: the initializer of the layers, one of "glorot_uniform", "dopamine_uniform",
        "torch_uniform" or "orthogonal".
      channels: see `PictureTorso`.
      layer_norm: normalize the outputs of each layer before its ReLU (Ba et al. 2016). Outputs of
        convolutions are normalized over the filters at each place.
      precision: "float32", or "bfloat16" to compute convolutions and products in it. Parameters,
        gradients and features stay float32. "bfloat16" gives other numbers, and is faster on processors
        and GPUs that have instructions for it.
    """

    # Measured: XLA does not speed up convolutions on the CPU. On an H200, DQN on Pong with 8
    # environments takes 864 agent steps/s with XLA and 623 without.
    compile_update: Mapping[str, bool] = MappingProxyType({"cpu": False, "gpu": True})
    reads_to_the_edges = False
    unread = (0, 0)  # rows and columns of a picture

    def __init__(
        self,
        seeds: Seeds,
        hidden_units: int,
        convolutions: Sequence[tuple[int, int, int]],
        initializer: str,
        channels: str | None,
        layer_norm: bool,
        precision: str,
    ):
        dtype = _dtype(type(self).__name__, precision)
        check_whole(type(self).__name__, least=0, most=MOST_UNITS, hidden_units=hidden_units)
        check_flag(type(self).__name__, layer_norm=layer_norm)
        for size in convolutions:
            for number in size:
                check_whole(type(self).__name__, most=MOST_UNITS, convolutions=number)
        super().__init__(channels)
        self._strides = [(kernel, stride) for _, kernel, stride in convolutions]
        self.least_size = self._read_for(1)
        self._zeros = (0, 0)  # rows and columns that are added
        self.layer_norm = layer_norm
        self.precision = precision
        layers: list[keras.layers.Layer] = []
        for index, size in enumerate(convolutions):
            convolution = _convolution(seeds, index, *size, initializer, dtype)
            layers += normalized(convolution, layer_norm)
        layers.append(keras.layers.Flatten(dtype=dtype))
        if hidden_units:
            last = dense(seeds, "dense", hidden_units, initializer, dtype=dtype)
            layers += normalized(last, layer_norm)
        self.layers = _with_float32_features(layers)

    def built_for(self, space: gymnasium.Space, stack_size: int) -> None:
        super().built_for(space, stack_size)
        sizes = self._size[:2]
        if self.reads_to_the_edges:
            needed = [self._read_for(self._places(size)) for size in sizes]
            self._zeros = (needed[0] - sizes[0], needed[1] - sizes[1])
        rows, columns = (
            int((~self._is_read(size + zeros)[:size]).sum())
            for size, zeros in zip(sizes, self._zeros, strict=True)
        )
        self.unread = (rows, columns)

    def _places(self, size: int) -> int:
        """The rows of the last convolution's output if each one goes on to the last row of its input."""
        for kernel, stride in self._strides:
            size = -(-(size - kernel) // stride) + 1
        return size

    def _read_for(self, size: int) -> int:
        """The rows of a picture that the convolutions read for so many rows of their output."""
        for kernel, stride in reversed(self._strides):
            size = (size - 1) * stride + kernel
        return size

    def _is_read(self, size: int) -> np.ndarray:
        """Whether the convolutions read each of so many rows of a picture, [size] bool."""
        sizes = [size]
        for kernel, stride in self._strides:
            sizes.append((sizes[-1] - kernel) // stride + 1)
        read = np.ones(sizes.pop(), bool)
        for (kernel, stride), rows in zip(reversed(self._strides), reversed(sizes), strict=True):
            outputs, read = read, np.zeros(rows, bool)
            for first in range(kernel):
                read[first : first + stride * len(outputs) : stride] |= outputs
        return read

    def preparation_layers(self) -> list[keras.layers.Layer]:
        rows, columns = self._zeros
        layers = super().preparation_layers()
        if rows or columns:
            layers.append(keras.layers.ZeroPadding2D(((0, rows), (0, columns))))
        return layers

    def prepare(self, observations: tf.Tensor) -> tf.Tensor:
        pictures, (rows, columns) = super().prepare(observations), self._zeros
        if not (rows or columns):
            return pictures
        return tf.pad(pictures, [[0, 0], [0, rows], [0, columns], [0, 0]])


@gin.configurable(module=__package__)
class NatureCNN(ConvolutionalTorso):
    """The convolutional torso of Mnih et al. (2015): 3 convolutions, 512 units, 'valid' padding.

    With the default convolutions, it reads pictures of at least 36 x 36, in stacks or not. Its features
    are [B, hidden_units] or, with 0 hidden units, the flattened outputs of the convolutions.

    Args:
      seeds, hidden_units, convolutions, initializer, channels, layer_norm, precision: see
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
        precision: str = "float32",
    ):
        super().__init__(
            seeds, hidden_units, convolutions, initializer, channels, layer_norm, precision
        )


@gin.configurable(module=__package__)
class SmallCNN(ConvolutionalTorso):
    """A torso for small pictures: two 3 x 3 convolutions, the second with stride 2, and a layer.

    With the default convolutions, it reads pictures of at least 5 x 5, in stacks or not. Rows and
    columns of zeros are added where the stride would leave the last ones unread. Its features are
    [B, hidden_units] or, with 0 hidden units, the flattened outputs of the convolutions.

    Args:
      seeds, hidden_units, convolutions, initializer, channels, layer_norm, precision: see
        `ConvolutionalTorso`.
    """

    reads_to_the_edges = True

    def __init__(
        self,
        seeds: Seeds,
        hidden_units: int = 128,
        convolutions: Sequence[tuple[int, int, int]] = ((32, 3, 1), (64, 3, 2)),
        initializer: str = "glorot_uniform",
        channels: str | None = None,
        layer_norm: bool = False,
        precision: str = "float32",
    ):
        super().__init__(
            seeds, hidden_units, convolutions, initializer, channels, layer_norm, precision
        )


class _Residual(keras.layers.Layer):
    """x + convolution(relu(convolution(relu(x)))), twice in each section of the IMPALA torso."""

    def __init__(self, seeds: Seeds, filters: int, kind: str, name: str, dtype: str):
        super().__init__(name=name, dtype=dtype)
        self.convolutions = [
            keras.layers.Conv2D(
                filters,
                3,
                padding="same",
                kernel_initializer=_initializer(kind, seeds, f"{name}_{index}"),
                name=f"convolution_{index}",
                dtype=dtype,
            )
            for index in range(2)
        ]

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        outputs = inputs
        for convolution in self.convolutions:
            outputs = convolution(tf.nn.relu(outputs))
        return inputs + outputs


@gin.configurable(module=__package__)
class ImpalaCNN(PictureTorso):
    """The residual torso of Espeholt et al. (2018), figure 3, right: 15 convolutions.

    It reads pictures of any size, in stacks or not. Its features are [B, hidden_units] or, with 0 hidden
    units, the flattened outputs of the convolutions.

    Args:
      seeds: seeds of the initial parameters.
      nn_scale: a factor for the number of filters in the three sections, 16, 32 and 32.
      hidden_units: the units of the layer after the convolutions; 0: no such layer.
      initializer: the initializer of the layers, one of "glorot_uniform", "dopamine_uniform",
        "torch_uniform" or "orthogonal".
      channels: see `PictureTorso`.
      precision: "float32", or "bfloat16" to compute convolutions and products in it, as in `NatureCNN`.
    """

    compile_update = False  # not measured on a GPU

    def __init__(
        self,
        seeds: Seeds,
        nn_scale: int = 1,
        hidden_units: int = 512,
        initializer: str = "glorot_uniform",
        channels: str | None = None,
        precision: str = "float32",
    ):
        dtype = _dtype("ImpalaCNN", precision)
        check_whole("ImpalaCNN", most=1_000, nn_scale=nn_scale)
        check_whole("ImpalaCNN", least=0, most=MOST_UNITS, hidden_units=hidden_units)
        super().__init__(channels)
        self.precision = precision
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
                    dtype=dtype,
                ),
                keras.layers.MaxPooling2D(3, 2, padding="same", dtype=dtype),
            ]
            layers += [
                _Residual(seeds, filters, initializer, f"residual_{section}_{block}", dtype)
                for block in range(2)
            ]
        layers += [keras.layers.ReLU(dtype=dtype), keras.layers.Flatten(dtype=dtype)]
        if hidden_units:
            layers.append(dense(seeds, "dense", hidden_units, initializer, dtype=dtype))
        self.layers = _with_float32_features(layers)


class PatchConvolution(keras.layers.Conv2D):
    """A convolution with stride 1 and 'valid' padding, as one product of patches and kernel.

    On the CPU, XLA computes small ones four times faster than `Conv2D`. The rest of an update, which XLA
    fuses, is then also faster than in TensorFlow.
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


@gin.configurable(module=__package__)
class MinAtarCNN(PictureTorso):
    """The torso of Young and Tian (2019) for MinAtar: one 3x3 convolution of 16 filters, 128 units.

    It reads pictures [height, width, channels] of at least 3 x 3, such as MinAtar's 10 x 10, in stacks
    or not. Its features are [B, hidden_units] or, with 0 hidden units, the flattened outputs of the
    convolution.

    Args:
      seeds: seeds of the initial parameters.
      hidden_units: the units of the layer after the convolution; 0: no such layer.
      initializer: the initializer of the layers, one of "glorot_uniform", "dopamine_uniform",
        "torch_uniform" or "orthogonal".
      layer_norm: normalize the outputs of each layer before its ReLU (Ba et al. 2016). Outputs of the
        convolution are normalized over the filters at each place.
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
        layers = [*normalized(convolution, layer_norm), keras.layers.Flatten()]
        if hidden_units:
            layers += normalized(dense(seeds, "dense", hidden_units, initializer), layer_norm)
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
            outputs = normalized_numpy(outputs, *norm)
        outputs = np.maximum(outputs, 0).reshape(len(observations), -1)
        return dense_numpy(outputs, weights[own:], layer_norm=self.layer_norm)

    def _channels_come_first(self, shape: tuple[int, ...]) -> bool:
        if channel_axis(shape) == 0:  # MinAtar's channels are last, whatever the shape
            raise UserError(
                f"MinAtarCNN reads pictures [height, width, channels], but observations are {shape}: "
                "bind @SmallCNN."
            )
        return False
