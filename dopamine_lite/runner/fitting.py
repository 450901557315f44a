"""Which of the package's agents and torsos fit an environment, found by building each of them."""

from __future__ import annotations

import dataclasses
import functools
import importlib
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from dopamine_lite import configuration
from dopamine_lite.agents.switching_agent import SwitchingAgent
from dopamine_lite.common.errors import UserError
from dopamine_lite.common.seeding import Seeds
from dopamine_lite.configuration import catalogue
from dopamine_lite.environments.environment import EnvironmentSpec
from dopamine_lite.networks.heads import QHead
from dopamine_lite.networks.network import Network
from dopamine_lite.networks.torsos import MLP
from dopamine_lite.replay.circular_replay import CircularReplay
from dopamine_lite.spaces.packed_space import PackedSpace

_FRAMES = 1_000  # capacity of a replay that is built but never filled


@dataclass(frozen=True)
class Fit:
    """The parts that fit an environment, and why the others do not.

    Attributes:
      fits: the names of the parts that fit.
      refusals: the message with which each of the other parts refuses, by name.
    """

    fits: tuple[str, ...]
    refusals: dict[str, str]


def agents_for(spec: EnvironmentSpec) -> Fit:
    """The agents that can be built for `spec`, with an `MLP` where they have a torso."""
    spec = dataclasses.replace(spec, num_envs=1)
    small: dict[str, Any] = {
        "torso": functools.partial(MLP, hidden_units=(8,)),
        "replay": functools.partial(CircularReplay, replay_capacity=_FRAMES),
        "agent": SwitchingAgent,
    }

    def build(agent: Callable[..., Any]) -> None:
        known = inspect.signature(agent).parameters
        agent(spec, Seeds(0), **{name: small[name] for name in small if name in known})

    return _tried(catalogue.AGENT, build)


def torsos_for(spec: EnvironmentSpec) -> Fit:
    """The torsos that read the observations of `spec`."""
    space = spec.observation_space
    entries = space.entries if isinstance(space, PackedSpace) else ("0",)
    small = functools.partial(MLP, hidden_units=(8,))

    def build(torso: Callable[..., Any]) -> None:
        has_entries = "torsos" in inspect.signature(torso).parameters
        settings = {"torsos": dict.fromkeys(entries, small)} if has_entries else {}
        Network(torso(Seeds(0), **settings), QHead(Seeds(0), 2), space, spec.stack_size)

    return _tried(catalogue.TORSO, build)


def _tried(kind: catalogue.Kind, build: Callable[[Callable[..., Any]], None]) -> Fit:
    fits, refusals = [], {}
    for part in catalogue.parts():
        if part.kind is not kind:
            continue
        try:
            build(getattr(importlib.import_module(part.module), part.name))
        except UserError as error:
            refusals[part.name] = str(configuration.original(error))
        else:
            fits.append(part.name)
    return Fit(tuple(fits), refusals)
