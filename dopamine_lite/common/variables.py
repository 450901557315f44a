"""The environment variables that can change a run's numbers."""

from __future__ import annotations

import os

VARIABLES = (
    # Threads, among which sums are divided.
    "OPENBLAS_NUM_THREADS",
    "OMP_NUM_THREADS",
    # Instructions of the processor: whether oneDNN and NumPy may use them, and which ones.
    "TF_ENABLE_ONEDNN_OPTS",
    "ONEDNN_MAX_CPU_ISA",
    "OPENBLAS_CORETYPE",
    "NPY_DISABLE_CPU_FEATURES",
    # Precision: products in bfloat16 on a CPU, in TF32 on a GPU.
    "TF_SET_ONEDNN_FPMATH_MODE",
    "ONEDNN_DEFAULT_FPMATH_MODE",
    "NVIDIA_TF32_OVERRIDE",
    # What TensorFlow compiles, and whether a GPU repeats its bits.
    "XLA_FLAGS",
    "TF_XLA_FLAGS",
    "TF_DETERMINISTIC_OPS",
    "TF_CUDNN_DETERMINISTIC",
    # Devices.
    "CUDA_VISIBLE_DEVICES",
)


def variables_in_force() -> dict[str, str]:
    """The values of those that are set."""
    return {name: os.environ[name] for name in VARIABLES if name in os.environ}
