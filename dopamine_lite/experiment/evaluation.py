"""The results of an agent's whole episodes, with everything that the numbers depend on."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from dopamine_lite.common.errors import UserError
from dopamine_lite.reporting import provenance

_RESAMPLES = 10_000


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """The result of `Run.evaluate`: the raw returns of whole episodes, and what they depend on.

    Attributes:
      environment: the environment's id.
      protocol: the environment's protocol.
      checkpoint: the agent steps at which the agent was saved.
      seed: the seed of the environments.
      changed: the settings that `Run.open` has changed, by name: the run's own value and the present
        value, as gin text.
      returns: the sum of the raw rewards of each episode.
      lengths: the length of each episode, in agent steps.
      infos: for each name in `Runner.info_metrics`, the number that each episode ended with; None if it
        is missing.

    Raises:
      UserError: the returns are too large for a mean and a standard deviation.
    """

    environment: str
    protocol: dict[str, Any]
    checkpoint: int
    seed: int
    changed: dict[str, tuple[str, str]]
    returns: list[float]
    lengths: list[int]
    infos: dict[str, list[float | None]]

    def __post_init__(self) -> None:
        if not math.isfinite(sum(each * each for each in self.returns)):
            raise UserError(
                f"The returns of {self.environment}, up to {max(map(abs, self.returns))}, are too large "
                "for a mean and a standard deviation: scale the environment's rewards down."
            )

    def summary(self) -> dict[str, Any]:
        """Statistics of the returns.

        Returns:
          `episodes`, `mean`, `standard_deviation` (None for a single episode), `interval_95` (the ends
          of the 95% interval of the mean, by the bootstrap over episodes; None for fewer than three),
          `min`, `median` and `max`.
        """
        return summary(self.returns)

    def as_json(self) -> dict[str, Any]:
        """The whole result as JSON values, as `dopamine-lite evaluate` writes them to a file."""
        result: dict[str, Any] = {
            "environment": self.environment,
            "protocol": self.protocol,
            "checkpoint": self.checkpoint,
            "seed": self.seed,
            "versions": provenance.versions(),
            "summary": self.summary(),
            "returns": self.returns,
            "lengths": self.lengths,
        }
        if self.infos:
            result["infos"] = self.infos
        if self.changed:
            result["changed"] = {
                name: {"trained": then, "evaluated": now}
                for name, (then, now) in self.changed.items()
            }
        return result


def summary(returns: list[float]) -> dict[str, Any]:
    """Statistics of the `returns` of one agent's episodes.

    The 95% interval of the mean comes from the percentile bootstrap (Efron 1979) over episodes. It is
    None for fewer than three episodes, and the standard deviation for a single one.
    """
    import numpy as np

    values = np.array(returns)
    generator = np.random.default_rng(0)
    means = [generator.choice(values, len(values)).mean() for _ in range(_RESAMPLES)]
    several = len(values) > 1
    return {
        "episodes": len(values),
        "mean": float(values.mean()),
        "standard_deviation": float(values.std(ddof=1)) if several else None,
        "interval_95": np.percentile(means, [2.5, 97.5]).tolist() if len(values) > 2 else None,
        "min": float(values.min()),
        "median": float(np.median(values)),
        "max": float(values.max()),
    }
