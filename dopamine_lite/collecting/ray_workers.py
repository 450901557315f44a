"""Workers in a Ray cluster, on any of its nodes."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

from dopamine_lite.collecting.backend import SECONDS_BETWEEN_LOOKS, WorkerDied
from dopamine_lite.collecting.collector import Begin, Evaluation, Group, Order
from dopamine_lite.collecting.parcel import Raised, unpacked
from dopamine_lite.collecting.ray_cluster import connected
from dopamine_lite.common.variables import variables_in_force


class _Actor:
    """A station in a process of the cluster."""

    def __init__(self, parcel: bytes, groups: Sequence[Group], path: Sequence[str]):
        self._parcel = parcel
        self._groups = groups
        self._path = path
        self._station: Any = None

    def call(self, name: str, message: Any) -> Any:
        """The return value of a station's method for a message, or the exception that it raised."""
        try:
            if self._station is None:
                sys.path.extend(place for place in self._path if place not in sys.path)
                self._station = unpacked(self._parcel, self._groups)
            return getattr(self._station, name)(message)
        except BaseException as error:
            return Raised(error)


class RayWorker:
    """A worker in a Ray actor.

    Args:
      ray: Ray's module, connected to a cluster.
      actor: the actor's handle.
    """

    def __init__(self, ray: Any, actor: Any):
        self._ray = ray
        self._actor = actor

    def begin(self, begins: Sequence[Begin]) -> None:
        self._asked = self._actor.call.remote("begin", list(begins))

    def do(self, name: str, published: Any) -> None:
        self._asked = self._actor.call.remote(name, published)

    def result(self, on_wait: Callable[[], None]) -> Any:
        while not self._ray.wait([self._asked], timeout=SECONDS_BETWEEN_LOOKS)[0]:
            on_wait()
        try:
            found = self._ray.get(self._asked)
        except self._ray.exceptions.RayError as error:  # also if its node is lost
            raise WorkerDied(str(error).strip().partition("\n")[0].rstrip(".")) from None
        if isinstance(found, Raised):
            raise found.error()
        return found

    def close(self) -> None:
        self._ray.kill(self._actor)


class RayBackend:
    """Workers in the cluster at the environment variable `RAY_ADDRESS`, or in one on this machine.

    Args:
      parcel: the recipe for the workers, from `packed`.
      num_workers: the number of workers, which share the CPUs of the cluster.
    """

    def __init__(self, parcel: bytes, num_workers: int):
        self._ray, self._began = connected(os.environ.get("RAY_ADDRESS"), "RAY_ADDRESS")
        self._parcel = self._ray.put(parcel)
        cpus = self._ray.cluster_resources().get("CPU", 0)
        self._actor = self._ray.remote(_Actor).options(
            num_cpus=min(1.0, int(1_000 * cpus / num_workers) / 1_000),
            max_restarts=0,
            scheduling_strategy="SPREAD",
            runtime_env={"env_vars": variables_in_force()},
        )

    def start(self, groups: Sequence[Group]) -> RayWorker:
        return RayWorker(self._ray, self._actor.remote(self._parcel, list(groups), sys.path))

    def publish(self, message: Order | Evaluation) -> Any:
        return self._ray.put(message)

    def close(self) -> None:
        if self._began:
            self._ray.shutdown()
