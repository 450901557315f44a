"""Environments that are checked against their spec, and messages about a run's own environment."""

from __future__ import annotations

from typing import Any

import numpy as np

from dopamine_lite.common.errors import UserError
from dopamine_lite.environments.contract import EXACT_STEPS, Contract
from dopamine_lite.environments.declared import described
from dopamine_lite.environments.environment import Environment, EnvironmentSpec, Report, Step


class CheckedEnvironment(Environment):
    """An environment that checks everything it returns against its spec; see `Contract`."""

    checks_itself = True

    def __init__(self, environment: Environment, exact_steps: int = EXACT_STEPS):
        self._environment = environment
        self.spec = environment.spec
        self._contract = Contract(environment.spec, exact_steps)

    def reset(self) -> np.ndarray:
        observations = self._environment.reset()
        self.action_masks = _copy(self._environment.action_masks)
        self._contract.check_reset(observations, self.action_masks)
        return observations

    def step(self, actions: np.ndarray) -> Step:
        step = self._environment.step(actions)
        if step.next_action_masks is not None:
            step = step._replace(next_action_masks=_copy(step.next_action_masks))
        self.action_masks = _copy(self._environment.action_masks)
        return self._contract.checked(step, self.action_masks)

    def render(self) -> np.ndarray:
        return self._contract.picture(self._environment.render())

    def close(self) -> None:
        self._environment.close()

    def report_to(self, report: Report) -> None:
        self._contract.report = report
        self._environment.report_to(report)


def checked(environment: Environment) -> Environment:
    """`environment` if it checks itself against its spec, otherwise wrapped so that it is checked."""
    return environment if environment.checks_itself else CheckedEnvironment(environment)


def introduced(environment: Any, num_envs: int, report: Report) -> Environment:
    """The checked environment from `Runner.environment`; `report` gets messages for the user.

    Args:
      environment: the environment that was made.
      num_envs: N, the requested number of environments.
      report: called with the subject of a message and the message, perhaps repeatedly with the same one.

    Raises:
      UserError: it is not an `Environment` of N environments.
    """
    if not isinstance(environment, Environment):
        raise UserError(
            f"Runner.environment made {described(environment)}, a {type(environment).__name__}, which "
            "is not an Environment of this package: for a Gymnasium environment, bind "
            "@create_environment."
        )
    spec = environment.spec
    if spec.num_envs != num_envs:
        raise UserError(
            f"{spec.id} declares num_envs = {spec.num_envs}, but {num_envs} were asked for: build as "
            "many environments as its argument num_envs says."
        )
    environment = checked(environment)
    environment.report_to(report)
    for note in spec.notes:
        report(note, note)
    return environment


def limit_not_held(spec: EnvironmentSpec, max_steps_per_episode: int | None) -> str | None:
    """A message if episodes do not end after the requested number of steps; None if they do."""
    own = spec.max_steps_per_episode
    if max_steps_per_episode in (None, own):
        return None
    return (
        f"Runner.max_steps_per_episode is {max_steps_per_episode:,}, but {spec.id} does not keep to it: "
        f"{f'its own limit is {own:,} steps' if own else 'it declares no limit'}."
    )


def _copy(masks: Any) -> Any:
    """A copy of masks, because an environment may write to its own again."""
    return masks.copy() if isinstance(masks, np.ndarray) else masks
