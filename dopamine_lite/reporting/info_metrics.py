"""Numbers that an environment reports in the info of an episode's last step, such as a success."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from dopamine_lite.common.errors import UserError

PREFIX = "info_"  # the beginning of their names in the logs
_LISTED = 8


class InfoMetrics:
    """Reads the requested numbers from infos.

    Args:
      names: the names of the numbers, which are keys of infos.
      environment: the environment's name, for messages.
      say_once: called with the topic of a sentence and the sentence, perhaps repeatedly with the same
        ones.

    Raises:
      UserError: `names` is not a list of different names.
    """

    def __init__(
        self, names: Sequence[str], environment: str, say_once: Callable[[str, str], None]
    ):
        if (
            not isinstance(names, list | tuple)
            or not all(isinstance(name, str) and name.strip() for name in names)
            or len(set(names)) < len(names)
        ):
            raise UserError(
                f"Runner.info_metrics is {names!r}: give a list of different keys of infos, such as "
                '["success"].'
            )
        self.names = tuple(names)
        self._environment = environment
        self._say_once = say_once

    def read(self, info: Mapping[str, Any] | None) -> dict[str, float | None]:
        """The numbers in the info of an episode's last step; None for each that is missing.

        True is 1 and False is 0. The first time that a number is missing or not finite, it tells the
        user.

        Raises:
          UserError: a value is not a number.
        """
        return {name: self._value(name, {} if info is None else info) for name in self.names}

    def _value(self, name: str, info: Mapping[str, Any]) -> float | None:
        given = info.get(name)
        if given is None:
            there = ", ".join(sorted(map(str, info))[:_LISTED]) or "nothing"
            self._tell(name, f"returned an info without {name!r} (it has {there})")
            return None
        array = np.asarray(given)
        if array.size != 1 or array.dtype.kind not in "biuf":
            raise UserError(
                f"{self._environment} returned {given!r} as info[{name!r}] at an episode's end, but "
                "Runner.info_metrics takes only numbers, True and False: return one of these, or leave "
                f"{name!r} out of Runner.info_metrics."
            )
        value = float(array.item())
        if not math.isfinite(value):
            self._tell(name, f"returned {value} as info[{name!r}]")
            return None
        return value

    def _tell(self, name: str, what: str) -> None:
        self._say_once(
            f"info {name}",
            f"{self._environment} {what} at an episode's end, but Runner.info_metrics asks for a number "
            "there: means leave such episodes out, and the logs have null for them.",
        )
