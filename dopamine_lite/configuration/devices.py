"""The devices that a run computes on: the CPU, one GPU, several that learn together, or a TPU."""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass
from typing import Any

import gin

from dopamine_lite.common.errors import UserError
from dopamine_lite.configuration.tensorflow_setup import held_back_stderr

_FORM = re.compile(r"(cpu|gpu)(?::(\d{1,3}(?:,\d{1,3})*))?|tpu")
_MOST_PARTS = 16  # parts of the CPU; each has its own threads and memory
_EXAMPLES = "cpu, gpu, gpu:1, gpu:0,1 or tpu, or cpu:0,1 to try two devices"


@dataclass(frozen=True)
class Devices:
    """The devices that a process computes on.

    Attributes:
      kind: "cpu", "gpu" or "tpu".
      name: the name that selects these devices, such as "gpu:0,1".
      first: the name by which another process selects the first of them, to act there; None: not given.
        A TPU belongs to the learner alone, so actors get "cpu".
      count: the number of devices that share the batches of one learner.
    """

    kind: str
    name: str
    first: str | None
    count: int = 1

    def scope(self) -> contextlib.AbstractContextManager[Any]:
        """The block in which to make an agent that learns on all of these devices.

        If there are several devices, TensorFlow gives each a copy of every variable made in the block.
        It adds up their gradients on the first device, in the order of the devices, so the sum is the
        same in every run, and the same bit for bit on each device.
        """
        import tensorflow as tf

        if self.kind == "tpu":
            resolver = tf.distribute.cluster_resolver.TPUClusterResolver(tpu="local")
            strategy = tf.distribute.TPUStrategy(resolver)
        elif self.count > 1:
            names = [f"{self.kind.upper()}:{index}" for index in range(self.count)]
            strategy = tf.distribute.MirroredStrategy(
                names, cross_device_ops=tf.distribute.ReductionToOneDevice()
            )
        else:
            return contextlib.nullcontext()
        return strategy.scope()


@gin.configurable
def tensorflow_devices(device: str | None = None) -> Devices:
    """Chooses the devices that TensorFlow computes on, and returns those in force.

    They are chosen before TensorFlow's first operation in a process. Results repeat bit for bit only on
    the same devices. A run may be resumed on others, and says so.

    Args:
      device: "cpu", "gpu" for the first GPU, "gpu:1" for the second, "gpu:0,1" for two GPUs that share
        every batch of one learner, or "tpu". "cpu:0,1" divides the CPU in two, to try how several
        devices learn together. None: TensorFlow chooses the first GPU if there is one, and else the CPU.

    Raises:
      UserError: there is no such device, or TensorFlow has begun on others in this process.
    """
    import tensorflow as tf

    kind, numbers = _parsed(device)
    if kind == "tpu":
        return _tpu()
    with held_back_stderr():  # TensorFlow complains at length about a missing GPU
        gpus = tf.config.list_physical_devices("GPU")
    if kind is None:
        kind = "gpu" if tf.config.get_visible_devices("GPU") else "cpu"
        return Devices(kind, kind, first=None)
    if kind == "gpu":
        _check_gpus(device, numbers, len(gpus))
    try:
        visible = [gpus[number] for number in numbers] if kind == "gpu" else []
        if tf.config.get_visible_devices("GPU") != visible:
            tf.config.set_visible_devices(visible, "GPU")
        if kind == "cpu":
            _divide_cpu(len(numbers))
    except RuntimeError as error:
        raise UserError(
            f"tensorflow_devices.device is {device!r}, but TensorFlow has already started on other "
            "devices in this process and cannot change them: start another process."
        ) from error
    name = kind if numbers == [0] else f"{kind}:{','.join(map(str, numbers))}"
    first = f"gpu:{numbers[0]}" if kind == "gpu" else "cpu"
    return Devices(kind, name, first, len(numbers))


def _parsed(device: str | None) -> tuple[str | None, list[int]]:
    """Kind and numbers; kind None: TensorFlow chooses."""
    if device is None:
        return None, [0]
    form = _FORM.fullmatch(device) if isinstance(device, str) else None
    if form is None:
        raise UserError(f"tensorflow_devices.device is {device!r}: choose {_EXAMPLES}.")
    numbers = [int(number) for number in (form[2] or "0").split(",")]
    if len(set(numbers)) < len(numbers):
        raise UserError(
            f"tensorflow_devices.device is {device!r}, which names a device twice: name each once."
        )
    kind = form[1] or "tpu"
    if kind == "cpu" and (numbers != list(range(len(numbers))) or len(numbers) > _MOST_PARTS):
        raise UserError(
            f"tensorflow_devices.device is {device!r}: number the parts of the CPU from 0, as in "
            f"cpu:0,1; there can be at most {_MOST_PARTS}."
        )
    return kind, numbers


def _check_gpus(device: str | None, numbers: list[int], present: int) -> None:
    if not present:
        raise UserError(
            f"tensorflow_devices.device is {device!r}, but TensorFlow finds no GPU on this machine: "
            "choose cpu. (If the machine has a GPU, TensorFlow lacks its libraries: "
            "`pip install 'tensorflow[and-cuda]'`.)"
        )
    if max(numbers) >= present:
        last = f"to gpu:{present - 1}" if present > 1 else "only"
        raise UserError(
            f"tensorflow_devices.device is {device!r}, but TensorFlow finds {present} GPU"
            f"{'s' * (present > 1)} on this machine: choose gpu:0 {last}, or cpu."
        )


def _divide_cpu(parts: int) -> None:
    """Lets TensorFlow see the CPU as several devices, which share its threads."""
    import tensorflow as tf

    cpu = tf.config.list_physical_devices("CPU")[0]
    present = tf.config.get_logical_device_configuration(cpu) or [None]
    if len(present) != parts:
        logical = [tf.config.LogicalDeviceConfiguration() for _ in range(parts)]
        tf.config.set_logical_device_configuration(cpu, logical)


def _tpu() -> Devices:
    """Starts the TPU of this machine."""
    import tensorflow as tf

    with held_back_stderr():
        try:
            resolver = tf.distribute.cluster_resolver.TPUClusterResolver(tpu="local")
            tf.tpu.experimental.initialize_tpu_system(resolver)
            cores = len(tf.config.list_logical_devices("TPU"))
        except (ValueError, tf.errors.OpError):  # its message is for TensorFlow's authors
            cores = 0
    if not cores:
        raise UserError(
            "tensorflow_devices.device is 'tpu', but TensorFlow finds no TPU on this machine: choose "
            "cpu or gpu. (TensorFlow for TPUs is the package tensorflow-tpu, whose newest version, "
            f"2.20.0, is older than the {tf.__version__} that is installed here.)"
        )
    return Devices("tpu", "tpu", first="cpu", count=cores)
