"""What an agent computes for its observations, as numbers that can be drawn."""

from __future__ import annotations

from typing import Any, NamedTuple

import gymnasium
import numpy as np

from dopamine_lite.common.errors import UserError
from dopamine_lite.environments.declared import described
from dopamine_lite.environments.environment import EnvironmentSpec


class Explanation(NamedTuple):
    """What an agent computes for N observations; a field is None if the agent does not compute it.

    A is the number of actions of a `Discrete` space or, for a `MultiDiscrete` space, sum_i n_i, with
    the options of all parts side by side. D is how many numbers an action of a `Box` has.
    """

    action_values: np.ndarray | None = None  # [N, A] Q(s, a)
    # The distribution of the return, as probabilities of atoms ...
    atoms: np.ndarray | None = None  # [K], rising, at equal distances
    probabilities: np.ndarray | None = None  # [N, A, K]
    # ... or as quantiles at the fractions (i + 1/2) / K.
    quantiles: np.ndarray | None = None  # [N, A, K], in any order
    policy: np.ndarray | None = None  # [N, A] pi(a|s)
    means: np.ndarray | None = None  # [N, D] of a normal policy, in the units of the actions
    deviations: np.ndarray | None = None  # [N, D]
    state_values: np.ndarray | None = None  # [N] V(s)

    def expected_returns(self, action_masks: np.ndarray | None = None) -> np.ndarray | None:
        """[N] the return that the agent expects: V(s), otherwise the highest Q(s, a) of a legal action.

        `action_masks` [N, A] bool marks the legal actions; None: all actions are legal.
        """
        values = self.action_values
        if self.state_values is not None or values is None:
            return self.state_values
        if action_masks is not None:
            values = np.where(action_masks, values, -np.inf)
        return values.max(axis=1)


def checked(explanation: Any, num: int, spec: EnvironmentSpec, agent: str) -> Explanation | None:
    """Checks what `agent`'s `explain` returned for `num` observations, and returns it.

    Raises:
      UserError: it is neither None nor an `Explanation` with fields of the right shapes.
    """
    if explanation is None:
        return None
    if not isinstance(explanation, Explanation):
        raise UserError(
            f"{agent}.explain returned {described(explanation)}: return an Explanation of "
            f"{Explanation.__module__}, or None."
        )
    num_atoms = None if explanation.atoms is None else np.size(explanation.atoms)
    num_actions, size = _sizes(spec.action_space)
    shapes: dict[str, tuple[int | None, ...]] = {
        "action_values": (num, num_actions),
        "atoms": (None,),
        "probabilities": (num, num_actions, num_atoms),
        "quantiles": (num, num_actions, None),
        "policy": (num, num_actions),
        "means": (num, size),
        "deviations": (num, size),
        "state_values": (num,),
    }
    for name, value in explanation._asdict().items():
        if value is not None:
            _check(value, shapes[name], f"{agent}.explain returned {{}} as {name}")
    for name in ("policy", "probabilities", "deviations"):
        value = getattr(explanation, name)
        if value is not None and value.min() < 0:
            raise UserError(f"{agent}.explain returned negative numbers as {name}.")
    for pair in (("atoms", "probabilities"), ("means", "deviations")):
        if len({getattr(explanation, name) is None for name in pair}) == 2:
            raise UserError(
                f"{agent}.explain returned only one of {' and '.join(pair)}: return both, or neither."
            )
    return explanation


def _check(value: Any, shape: tuple[int | None, ...], what: str) -> None:
    fits = (
        isinstance(value, np.ndarray)
        and value.dtype.kind in "fiu"
        and value.ndim == len(shape)
        and value.size > 0
        and all(wanted in (None, given) for wanted, given in zip(shape, value.shape, strict=True))
    )
    if not fits:
        wanted = ", ".join("any" if size is None else str(size) for size in shape)
        raise UserError(f"{what.format(described(value))}: return numbers of shape ({wanted}).")
    if not np.isfinite(value).all():
        raise UserError(f"{what.format('infinity or NaN')}: return finite numbers.")


def _sizes(space: gymnasium.Space) -> tuple[int, int]:
    """A and D of an action space; 0 if it has no such actions."""
    if isinstance(space, gymnasium.spaces.Discrete):
        return int(space.n), 0
    if isinstance(space, gymnasium.spaces.MultiDiscrete):
        return int(space.nvec.sum()), 0
    return 0, int(np.prod(space.shape)) if isinstance(space, gymnasium.spaces.Box) else 0
