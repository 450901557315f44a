"""What every test begins with."""

import gin
import pytest

import dopamine_lite  # noqa: F401  (it sets NumPy's threads, before anything imports NumPy)
from dopamine_lite.configuration import modules
from tests.compile_once import compile_once

compile_once()


@pytest.fixture(autouse=True)
def nothing_bound():
    """Bindings and rules of imports that an earlier test has loaded would be this one's too."""
    gin.clear_config()
    modules.begin(modules.ImportRule())
