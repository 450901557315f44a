"""What every test begins with."""

import gin
import pytest


@pytest.fixture(autouse=True)
def nothing_bound():
    """Bindings that an earlier test has loaded would be this one's too."""
    gin.clear_config()
