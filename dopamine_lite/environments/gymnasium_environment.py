"""Every registered Gymnasium environment, N at a time in one loop."""

from __future__ import annotations

import contextlib
import copy
import difflib
import inspect
import json
import os
import re
import warnings
from collections.abc import Iterator
from typing import Any

import gymnasium
import numpy as np
from gymnasium.envs.registration import load_env_creator

from dopamine_lite import configuration
from dopamine_lite.common.errors import UserError, is_of_users_code
from dopamine_lite.common.seeding import Seeds
from dopamine_lite.environments.action_names import known_names
from dopamine_lite.environments.contract import Contract
from dopamine_lite.environments.environment import Environment, EnvironmentSpec, Report, Step
from dopamine_lite.environments.inner_wrappers import notes_on_memory, own_limit
from dopamine_lite.environments.single_environment import SingleEnvironment
from dopamine_lite.environments.vector_environment import VectorEnvironment
from dopamine_lite.spaces.packed_space import PackedSpace

_NOT_OPTIONS = ("id", "max_episode_steps", "disable_env_checker", "render_mode")  # of `make` itself
_OF_ENTRIES = (gymnasium.spaces.Dict, gymnasium.spaces.Tuple)
_has_masks: dict[tuple[str, str], bool] = {}  # the key: an id and the JSON of its options


class GymnasiumEnvironment(Environment):
    """N environments made by `gymnasium.make`, stepped one after the other.

    Observations that are dictionaries or tuples of arrays come packed (see `PackedSpace`).

    Args:
      id: a registered id, such as "CartPole-v1", or "module:id" if a module has to be imported that
        registers it.
      num_envs: N, the number of environments.
      seed: the seed from which each environment gets its own.
      max_steps_per_episode: agent steps after which an episode is truncated, instead of the limit that
        the environment is registered with; None: the registered limit.
      render: draw the first environment.
      evaluate: has no effect; evaluation does not differ.
      kwargs: options of the environment, passed to `gymnasium.make`.

    Raises:
      UserError: there is no such environment, a package that it needs is missing, it does not have these
        options, its observations are not supported, it does not draw, or its return values are not as
        declared.
    """

    checks_itself = True

    def __init__(
        self,
        id: str,
        num_envs: int = 1,
        seed: int = 0,
        max_steps_per_episode: int | None = None,
        render: bool = False,
        evaluate: bool = False,
        kwargs: dict[str, Any] | None = None,
    ):
        registered = find(id)
        options = _checked_options(kwargs)
        limit = max_steps_per_episode or registered.max_episode_steps
        self._draws = render
        self._seeds = environment_seeds(seed, num_envs)
        self._envs: list[gymnasium.Env] = []
        try:
            for index in range(num_envs):
                self._envs.append(_make(id, limit, render and index == 0, options))
            self._environments = [
                SingleEnvironment(id, env, index) for index, env in enumerate(self._envs)
            ]
            first = self._environments[0]
            # The first environment's return values for `reset`. Only an info shows whether there are
            # masks, and there may be no second environment to ask, and no second reset of this one.
            observation, mask = first.reset(seed=int(self._seeds[0]))
            # A copy, because the next environment may write to the same array. None: already returned.
            self._first: Any = copy.deepcopy(observation), mask
            self.spec = spec_of(
                id,
                first.observation_space,
                first.action_space,
                num_envs,
                own_limit(self._envs[0]),
                options,
                masked=bool(first.masked),
                notes=notes_on_memory(id, self._envs[0]),
                action_names=known_names(id, first.action_space, self._envs[0]),
            )
        except BaseException:
            self.close()
            raise
        for environment in self._environments:
            environment.masked = first.masked
        space = self.spec.observation_space
        assert space.shape is not None
        self._shape = (num_envs, *space.shape)
        self._dtype = space.dtype
        self._contract = Contract(self.spec)

    def reset(self) -> np.ndarray:
        if self._first is None:
            raise RuntimeError("An environment is reset only once: make a new one to begin again.")
        observations = np.empty(self._shape, self._dtype)
        masks = []
        pairs = zip(self._environments, self._seeds, strict=True)
        for index, (environment, seed) in enumerate(pairs):
            observations[index], mask = (
                self._first if index == 0 else environment.reset(seed=int(seed))
            )
            masks.append(mask)
        self._first = None
        if self.spec.action_masks:
            self.action_masks = np.array(masks)
        self._contract.check_reset(observations, self.action_masks)
        return observations

    def step(self, actions: np.ndarray) -> Step:
        size = len(self._environments)
        next_observations = np.empty(self._shape, self._dtype)
        rewards = np.empty(size)
        terminated, truncated = np.empty(size, bool), np.empty(size, bool)
        beginnings, infos, masks, next_masks = {}, {}, [], []
        pairs = zip(self._environments, actions, strict=True)
        for index, (environment, action) in enumerate(pairs):
            observation, rewards[index], ended, cut, mask = environment.step(action)
            next_observations[index] = observation  # before a reset can write to the same array
            terminated[index], truncated[index] = ended, cut and not ended
            next_masks.append(mask)
            if ended or cut:
                infos[index] = dict(environment.info)  # a copy: a reset may write to the same dict
                beginning, mask = environment.reset()
                # A copy, because the next environment may write to the same array.
                beginnings[index] = copy.copy(beginning)
            masks.append(mask)
        observations = next_observations
        if beginnings:
            observations = next_observations.copy()
            for index, observation in beginnings.items():
                observations[index] = observation
        result = Step(
            observations, rewards, terminated, truncated, next_observations, final_infos=infos
        )
        if self.spec.action_masks:
            self.action_masks = np.array(masks)
            result = result._replace(next_action_masks=np.array(next_masks))
        return self._contract.checked(result, self.action_masks)

    def render(self) -> np.ndarray:
        if not self._draws:
            raise ValueError("Built without render=True.")
        return self._contract.picture(self._environments[0].render())

    def report_to(self, report: Report) -> None:
        self._contract.report = report

    def close(self) -> None:
        for env in self._envs:
            env.close()


def native_vector_environment(
    id: str,
    num_envs: int,
    seed: int,
    max_steps_per_episode: int | None,
    kwargs: dict[str, Any] | None = None,
) -> VectorEnvironment | None:
    """The environment's own vector implementation if it resets within the step that ends an episode.

    Other implementations reset one step later, so that step is not a step of the new episode. All
    implementations that come with Gymnasium 1.4 (CartPole's and those in JAX) are of that kind.
    `kwargs` are options of the environment, passed to `gymnasium.make_vec`. None: there is no such
    implementation.
    """
    registered = find(id)
    options = _checked_options(kwargs)
    if registered.vector_entry_point is None or _has_action_masks(id, options):
        return None  # the loop takes masks from each environment
    limit = max_steps_per_episode or registered.max_episode_steps
    arguments: dict[str, Any] = {} if limit is None else {"max_episode_steps": limit}
    with _clear_errors(id, options):
        envs = gymnasium.make_vec(
            id, num_envs, gymnasium.VectorizeMode.VECTOR_ENTRY_POINT, **arguments, **options
        )
    of_entries = isinstance(envs.single_observation_space, _OF_ENTRIES)
    same_step = envs.metadata.get("autoreset_mode") == gymnasium.vector.AutoresetMode.SAME_STEP
    if of_entries or not same_step:
        envs.close()
        return None
    spec = spec_of(
        id,
        envs.single_observation_space,
        envs.single_action_space,
        num_envs,
        limit,
        options,
        masked=False,
        notes=notes_on_memory(id, envs),
        action_names=known_names(id, envs.single_action_space),
    )
    return VectorEnvironment(envs, spec, Seeds(seed).integer("streams"))


def make_single_environment(id: str, kwargs: dict[str, Any] | None) -> SingleEnvironment:
    """One environment as inside a `GymnasiumEnvironment`, not yet reset; raises the same errors."""
    return SingleEnvironment(id, _make(id, None, False, _checked_options(kwargs)), 0)


def environment_seeds(seed: int, num_envs: int) -> np.ndarray:
    """One seed for each of N environments, independent of N: [N] int32."""
    seeds = Seeds(seed)  # the name must stay: another name gives other seeds
    return np.array([seeds.integer("stream", index) for index in range(num_envs)], np.int32)


def spec_of(
    id: str,
    observation_space: gymnasium.Space,
    action_space: gymnasium.Space,
    num_envs: int,
    limit: int | None,
    options: dict[str, Any],
    masked: bool,
    notes: tuple[str, ...],
    action_names: tuple[str, ...],
) -> EnvironmentSpec:
    """The spec of an environment for an agent; boxes of float64 become float32.

    `masked` says that infos name the legal actions.

    Raises:
      UserError: observations are not arrays, or there are masks for actions that are not discrete.
    """
    protocol = {"environment": id, "max_steps_per_episode": limit}
    space = observation_space
    if space.shape is None or space.dtype is None:
        raise UserError(
            f"{id} has observations of {space}: give it arrays, or dictionaries or tuples of arrays, "
            "for example with a gymnasium.ObservationWrapper."
        )
    if masked and not isinstance(action_space, gymnasium.spaces.Discrete):
        raise UserError(
            f"{id} names legal actions in info['action_mask'], but has the action space "
            f"{action_space}: masks are only for one discrete action."
        )
    if isinstance(space, gymnasium.spaces.Box) and space.dtype == np.float64:
        space = gymnasium.spaces.Box(
            space.low.astype(np.float32), space.high.astype(np.float32), dtype=np.float32
        )
    return EnvironmentSpec(
        id=id,
        observation_space=space,
        action_space=action_space,
        num_envs=num_envs,
        max_steps_per_episode=limit,
        action_masks=masked,
        protocol=protocol | ({"kwargs": options} if options else {}),
        notes=notes,
        action_names=action_names,
    )


def _has_action_masks(id: str, options: dict[str, Any]) -> bool:
    """Whether a single environment names its legal actions in `info["action_mask"]`.

    It is found out once for all `options`, because options can switch masks on, or be required.
    """
    key = (id, json.dumps(options))
    if key not in _has_masks:
        with contextlib.closing(GymnasiumEnvironment(id, kwargs=options)) as single:
            _has_masks[key] = single.spec.action_masks
    return _has_masks[key]


def find(id: str) -> gymnasium.envs.registration.EnvSpec:
    """The registration of `id`. Raises UserError with the nearest names if there is none."""
    module, _, name = id.rpartition(":")
    try:
        if module:
            configuration.import_module(module, f"The environment id {id!r}")
        return gymnasium.spec(name)
    except (gymnasium.error.Error, ModuleNotFoundError) as error:
        hint = f"name the module that registers it, as in 'my_module:{name}'."
        if isinstance(error, ModuleNotFoundError):
            hint = "check the module's name, and that it is installed or in the current directory."
        elif near := difflib.get_close_matches(name, list(gymnasium.registry), n=3):
            hint = f"did you mean {' or '.join(near)}?"
        why = str(error).partition(" Did you mean")[0].rstrip(".")
        raise UserError(f"There is no environment {id!r} ({why}): {hint}") from error


def _checked_options(kwargs: dict[str, Any] | None) -> dict[str, Any]:
    """A copy of `kwargs`. Raises UserError if they cannot be an environment's options."""
    if not isinstance(kwargs, dict | None) or not all(
        isinstance(name, str) for name in kwargs or ()
    ):
        raise UserError(
            f"create_environment.kwargs is {kwargs!r}: give a dictionary of options by name, such as "
            "{'rows': 5}."
        )
    options = dict(kwargs or {})
    for name in options:
        if name in _NOT_OPTIONS:
            raise UserError(
                f"create_environment.kwargs has {name!r}, which is not an option of the environment "
                "and is set elsewhere: leave it out."
            )
    try:
        json.dumps(options, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise UserError(
            f"create_environment.kwargs is {kwargs!r}, which cannot be stored with results as JSON "
            f"({error}): give numbers, texts, lists and dictionaries."
        ) from error
    return options


class _Packed(gymnasium.ObservationWrapper):
    """An environment whose dictionaries or tuples become rows of a `PackedSpace`."""

    def __init__(self, env: gymnasium.Env, id: str):
        super().__init__(env)
        space: Any = env.observation_space
        self.observation_space = self._space = PackedSpace.of(space, id)

    def observation(self, observation: Any) -> np.ndarray:
        return self._space.pack(observation)


def _make(id: str, limit: int | None, draw: bool, options: dict[str, Any]) -> gymnasium.Env:
    arguments: dict[str, Any] = {}
    if draw:
        arguments["render_mode"] = "rgb_array"
        os.environ.setdefault("SDL_VIDEODRIVER", "dummy")  # no window, and no complaint about that
    with _clear_errors(id, options, draw):
        env = gymnasium.make(id, limit, disable_env_checker=True, **arguments, **options)
    modes = env.metadata.get("render_modes") or []
    if draw and "rgb_array" not in modes:
        raise UserError(f"{id} does not draw: 'rgb_array' is not among its render modes {modes}.")
    return (
        _Packed(env, id)
        if isinstance(getattr(env, "observation_space", None), _OF_ENTRIES)
        else env
    )


@contextlib.contextmanager
def _clear_errors(id: str, options: dict[str, Any], draw: bool = False) -> Iterator[None]:
    """Silences hints at newer versions; turns missing packages or options into a sentence.

    With `draw`, the environment is asked to draw.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except (gymnasium.error.DependencyNotInstalled, ImportError) as error:
        what = str(error).rstrip(".")
        if isinstance(error, ModuleNotFoundError):  # Gymnasium's own errors name the command
            what += f", run `pip install {error.name}`"
        raise UserError(f"{id} needs a package that is not installed: {what}.") from error
    except gymnasium.error.Error as error:
        if is_of_users_code(error):
            raise
        raise UserError(f"{id} cannot be made: {str(error).rstrip('.')}.") from error
    except TypeError as error:
        unknown = re.search(r"unexpected keyword argument '(\w+)'", str(error))
        takes_nothing = draw and re.search(r"\w\(\) takes no arguments", str(error))
        if takes_nothing or (unknown and unknown[1] == "render_mode"):
            raise UserError(f"{id} does not draw: it takes no render_mode.") from error
        if unknown and unknown[1] in options:
            known = ", ".join(_known_options(id)) or "none"
            raise UserError(
                f"{id} has no option {unknown[1]!r} (create_environment.kwargs); its options: {known}."
            ) from error
        cause = error.__cause__  # Gymnasium re-raises a TypeError without its origin
        if cause is not None and is_of_users_code(cause):
            raise cause from None
        if re.search("must inherit from the gymnasium.Env|incompatible with Gym", str(error)):
            raise UserError(
                f"{id} is made by {find(id).entry_point}, which does not make a gymnasium.Env: let its "
                "class inherit from gymnasium.Env and keep to Gymnasium's interface (see "
                "docs/how_to/your_own_environment.md)."
            ) from error
        raise


def _known_options(id: str) -> list[str]:
    entry_point: Any = find(id).entry_point
    creator = load_env_creator(entry_point) if isinstance(entry_point, str) else entry_point
    return [name for name in inspect.signature(creator).parameters if name not in _NOT_OPTIONS]
