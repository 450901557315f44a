"""Gymnasium vector environments that reset within the step that ends an episode."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gymnasium
import numpy as np

from dopamine_lite.common.errors import UserError
from dopamine_lite.environments.contract import Contract
from dopamine_lite.environments.declared import as_declared, described
from dopamine_lite.environments.environment import Environment, EnvironmentSpec, Report, Step
from dopamine_lite.environments.single_environment import MASK


class VectorEnvironment(Environment):
    """The N environments of a `gymnasium.vector.VectorEnv` in same-step autoreset mode.

    Args:
      envs: the vector environment, not yet reset. It must not write to arrays that it has returned.
      spec: the spec for the agent. Observations get the dtype of its observation space.
      seeds: [N] one seed for each environment, if `envs` takes them, or one seed for all.
    """

    checks_itself = True

    def __init__(
        self,
        envs: gymnasium.vector.VectorEnv,
        spec: EnvironmentSpec,
        seeds: np.ndarray | int,
    ):
        if envs.metadata.get("autoreset_mode") != gymnasium.vector.AutoresetMode.SAME_STEP:
            raise ValueError(f"{envs} does not reset within the step that ends an episode.")
        self.spec = spec
        self._envs: Any = envs
        self._seeds = seeds
        self._space = envs.single_observation_space
        assert self._space.shape is not None
        self._shape = (spec.num_envs, *self._space.shape)
        self._dtype = spec.observation_space.dtype
        self._contract = Contract(spec)

    def reset(self) -> np.ndarray:
        returned = self._envs.reset(seed=self._seeds)
        observations, self._info = self._taken_apart(returned, 2, "reset")
        observations = self._held(observations, self._shape, "at the start")
        self._contract.check_reset(observations, None)
        return observations

    def step(self, actions: np.ndarray) -> Step:
        returned = self._envs.step(actions)
        observations, rewards, terminated, truncated, self._info = self._taken_apart(
            returned, 5, "step"
        )
        following = observations = self._held(observations, self._shape, "in a step")
        rewards = self._one_for_each(rewards, "biuf", "rewards")
        terminated = self._one_for_each(terminated, "b", "terminated")
        truncated = self._one_for_each(truncated, "b", "truncated")
        ended = (terminated | truncated).nonzero()[0]
        if ended.size:
            following = observations.copy()
            final = self._final_observations()  # [N, ...], or [N] objects unless all have ended
            for index in ended:
                following[index] = self._held(final[index], self._shape[1:], "at an end")
        step = Step(
            observations,
            rewards.astype(np.float64),
            terminated,
            truncated & ~terminated,
            following,
            final_infos={int(index): self._final_info(index) for index in ended},
        )
        return self._contract.checked(step, None)

    def render(self) -> np.ndarray:
        return self._contract.picture(self._envs.render()[0])

    def report_to(self, report: Report) -> None:
        self._contract.report = report

    def close(self) -> None:
        self._envs.close()

    def _taken_apart(self, returned: Any, size: int, method: str) -> Any:
        if not isinstance(returned, tuple) or len(returned) != size:
            what = f"{len(returned)} values" if isinstance(returned, tuple) else described(returned)
            raise UserError(
                f"{self.spec.id}: the {method} of {type(self._envs.unwrapped).__name__} returned "
                f"{what}: Gymnasium's interface asks for {size}."
            )
        if MASK in returned[-1]:
            raise UserError(
                f"{self.spec.id} names legal actions in info['{MASK}'] of a {method} of its vector "
                "implementation, but a single environment does not at its reset: return them from both, "
                "or neither."
            )
        return returned

    def _held(self, observations: Any, shape: tuple[int, ...], when: str) -> np.ndarray:
        where = f"{when} of an episode"
        array = as_declared(observations, self._space, shape, self.spec.id, where)
        return np.asarray(array, self._dtype)

    def _one_for_each(self, returned: Any, kinds: str, name: str) -> np.ndarray:
        """`returned` as [N], with one number or boolean for each environment."""
        array = np.asarray(returned)
        if array.shape != self._shape[:1] or array.dtype.kind not in kinds:
            what = "booleans" if kinds == "b" else "finite numbers"
            raise UserError(
                f"{self.spec.id} returned {described(returned)} as {name}: return an array of "
                f"{self._shape[0]} {what}, one for each environment."
            )
        return array

    def _final_info(self, index: int) -> dict[str, Any]:
        """The `final_info` of one environment: arrays by name; "_name" marks those that are set."""
        infos = self._info.get("final_info")
        if not isinstance(infos, Mapping):
            return {}
        return {
            name: values[index]
            for name, values in infos.items()
            if f"_{name}" in infos and infos[f"_{name}"][index]
        }

    def _final_observations(self) -> Any:
        if "final_obs" not in self._info:
            raise UserError(
                f"{self.spec.id} ended an episode without info['final_obs']: in same-step autoreset "
                "mode Gymnasium's interface asks for the true last observations there."
            )
        return self._info["final_obs"]
