"""Numbers that an environment tells in the info of an episode's last step: success, outcome, length."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from dopamine_lite.common.errors import UserError

PREFIX = "info_"  # of their names in the logs
_LISTED = 8


class InfoMetrics:
    """Reads the numbers that are asked for out of infos.

    Args:
      names: of the numbers; keys of infos.
      environment: what the environment is called, for sentences.
      say_once: called with what a sentence is about and the sentence, perhaps again and again.

    Raises:
      UserError: these are no names.
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
        """The numbers in the info of an episode's last step; None for each that is not there.

        True is 1 and False 0. The user is told of the first that is missing or not finite.

        Raises:
          UserError: there is something else than a number.
        """
        return {name: self._value(name, {} if info is None else info) for name in self.names}

    def _value(self, name: str, info: Mapping[str, Any]) -> float | None:
        given = info.get(name)
        if given is None:
            there = ", ".join(sorted(map(str, info))[:_LISTED]) or "nothing"
            self._tell(name, f"has no {name!r} in an info (there: {there})")
            return None
        array = np.asarray(given)
        if array.size != 1 or array.dtype.kind not in "biuf":
            raise UserError(
                f"{self._environment} returned {given!r} as info[{name!r}] at an episode's end, and "
                "Runner.info_metrics takes numbers, True and False: return one, or do not name it there."
            )
        value = float(array.item())
        if not math.isfinite(value):
            self._tell(name, f"returned {value} as info[{name!r}]")
            return None
        return value

    def _tell(self, name: str, what: str) -> None:
        self._say_once(
            f"info {name}",
            f"{self._environment} {what} at an episode's end, where Runner.info_metrics asks for a "
            "number: means leave such episodes out, and the logs have null for them.",
        )
