"""What every test begins with."""

import os

import gin
import pytest
import tensorflow as tf

import dopamine_lite  # noqa: F401  (it sets NumPy's threads, before anything imports NumPy)
from dopamine_lite.configuration import modules
from tests.compile_once import compile_once

compile_once()
os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")  # processes share one GPU
# Tolerances are those of float32. A GPU would round the factors of products to TF32, ten bits. The
# variable holds for NVIDIA's libraries in all processes that tests start, the call for this process.
os.environ.setdefault("NVIDIA_TF32_OVERRIDE", "0")
if tf.config.list_physical_devices("GPU"):
    tf.config.experimental.enable_tensor_float_32_execution(False)


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items):
    """Tests of agents share what is compiled for them: a file's stay in one process."""
    for item in items:
        if item.path.parent.name == "agents":
            item.add_marker(pytest.mark.xdist_group(item.path.name))


@pytest.fixture(autouse=True)
def nothing_bound():
    """Bindings and rules of imports that an earlier test has loaded would be this one's too."""
    gin.clear_config()
    modules.begin(modules.ImportRule())
