"""Torsos: from observations to features. Gin chooses the torso, never the agent.

A torso holds its Keras `layers` and two more things. `prepare` turns observations into the input of the
layers, in pure TensorFlow that XLA compiles (here ten times faster than TensorFlow's own kernels).
`compile_update` says whether XLA is also faster for the whole update: True, False, or a mapping such as
{"cpu": False, "gpu": True} if that depends on the device. Observations come as numbers in float32: bytes
as fractions, names as one-hot vectors (see `observations`).

Two methods are optional. A torso that is small enough for NumPy has `call_numpy` (see `twins`; a
subclass defines its own or acts with TensorFlow). A torso that needs to know more about observations
than their shape has `built_for(space, stack_size)`, which the network calls first.

Torsos are not Keras layers themselves: Keras inspects a layer's `__init__`, which gin wraps.
"""

from dopamine_lite.networks.torsos.convolutional import (
    ConvolutionalTorso,
    ImpalaCNN,
    MinAtarCNN,
    NatureCNN,
    PatchConvolution,
    SmallCNN,
)
from dopamine_lite.networks.torsos.mlp import MLP
from dopamine_lite.networks.torsos.per_entry import DictTorso
from dopamine_lite.networks.torsos.pictures import PictureTorso
from dopamine_lite.networks.torsos.torso import Torso, compiles_update, prepared_shape, updating

__all__ = [
    "MLP",
    "ConvolutionalTorso",
    "DictTorso",
    "ImpalaCNN",
    "MinAtarCNN",
    "NatureCNN",
    "PatchConvolution",
    "PictureTorso",
    "SmallCNN",
    "Torso",
    "compiles_update",
    "prepared_shape",
    "updating",
]
