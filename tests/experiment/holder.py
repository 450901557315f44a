"""An environment that holds an object, for tests of whose that is."""

from __future__ import annotations

from typing import Any

import gin

from dopamine_lite.environments.environment import Environment
from dopamine_lite.environments.factory import create_environment


@gin.configurable
class Box:
    pass


@gin.configurable
def holding_environment(held: object, **request: Any) -> Environment:
    environment = create_environment(**request)
    environment.held = held
    return environment
