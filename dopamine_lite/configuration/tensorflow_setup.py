"""Imports TensorFlow without its banner, and sets its number of threads."""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
import tempfile
from collections.abc import Iterator
from types import ModuleType

import gin

from dopamine_lite.common.checks import check_whole
from dopamine_lite.common.machine import usable_cores

_MOST_THREADS = 1_024  # TensorFlow starts them all at once


def import_tensorflow() -> None:
    """Imports TensorFlow without the lines that it writes to stderr despite all settings.

    If the import fails, these lines are shown.
    """
    import_quietly("tensorflow")


def import_quietly(module: str) -> ModuleType:
    """`importlib.import_module`, as quiet as `import_tensorflow` if the module imports TensorFlow."""
    if "tensorflow" in sys.modules:
        return importlib.import_module(module)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    with held_back_stderr():
        return importlib.import_module(module)


@gin.configurable
def tensorflow_threads(intra_op: int | None = None, inter_op: int = 1) -> dict[str, int]:
    """Sets the number of TensorFlow's threads, and returns the numbers in force.

    Call it before TensorFlow's first operation in a process. Results repeat bit for bit only with the
    same number of `intra_op` threads, so the number belongs to the run. A GPU is set to add up in one
    order, so that results repeat there, too. A process takes only the GPU memory that it needs, so that
    several runs can share a GPU.

    Args:
      intra_op: the threads within an operation; None: one for every usable core. Small networks are
        fastest with 1.
      inter_op: the operations that run side by side.

    Raises:
      UserError: TensorFlow would abort the process at this number of threads.
    """
    check_whole("tensorflow_threads", most=_MOST_THREADS, optional=True, intra_op=intra_op)
    check_whole("tensorflow_threads", most=_MOST_THREADS, inter_op=inter_op)
    import tensorflow as tf

    threads = intra_op or usable_cores()
    try:
        with held_back_stderr():
            gpus = tf.config.get_visible_devices("GPU")
            if gpus:  # otherwise, convolutions add up in a different order each time
                tf.config.experimental.enable_op_determinism()
            for gpu in gpus:
                tf.config.experimental.set_memory_growth(gpu, True)
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(inter_op)
    except RuntimeError:  # TensorFlow has already started: its settings stay
        threads = tf.config.threading.get_intra_op_parallelism_threads() or usable_cores()
        inter_op = tf.config.threading.get_inter_op_parallelism_threads() or usable_cores()
    with held_back_stderr():  # TensorFlow complains at length about a missing GPU
        tf.zeros([])
    return {"intra_op": threads, "inter_op": inter_op}


def gpu_names() -> list[str]:
    """The names of the GPUs that TensorFlow uses."""
    import tensorflow as tf

    gpus = tf.config.get_visible_devices("GPU")
    details = [tf.config.experimental.get_device_details(gpu) for gpu in gpus]
    return [each.get("device_name", "unknown") for each in details]


@contextlib.contextmanager
def held_back_stderr() -> Iterator[None]:
    """Keeps file descriptor 2 quiet; shows what was written if the block raises."""
    if sys.stderr is None:  # the parent process closed it
        yield
        return
    sys.stderr.flush()
    with tempfile.TemporaryFile() as held:
        kept = os.dup(2)
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            os.dup2(kept, 2)
            held.seek(0)
            sys.stderr.write(held.read().decode(errors="replace"))
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)
