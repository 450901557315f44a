"""A recipe as bytes for another process, with the configuration as text."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import importlib
import pickle
import traceback
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import cloudpickle  # type: ignore[import-untyped]
import gymnasium

from dopamine_lite import configuration
from dopamine_lite.collecting.collector import Group, Recipe, Station
from dopamine_lite.common.errors import UserError
from dopamine_lite.configuration.devices import tensorflow_devices
from dopamine_lite.configuration.tensorflow_setup import (
    gpu_names,
    import_tensorflow,
    tensorflow_threads,
)
from dopamine_lite.reporting import provenance


def packed(recipe: Recipe, config: str, threads: Mapping[str, int], device: str | None) -> bytes:
    """The bytes from which `unpacked` makes a station in another process.

    Args:
      recipe: the recipe for the station.
      config: the configuration in force, from `configuration.operative`.
      threads: TensorFlow's "intra_op" and "inter_op". Results depend on them.
      device: the device to act on, from `Devices.first`.

    Raises:
      UserError: the agent or the environment cannot be made in another process.
    """
    modules = configuration.parts_by_module()
    for name in modules.get("__main__", ()):
        raise UserError(
            f"{name} is defined in the main program, where no other process finds it: move it to a "
            'module of its own that the program imports, or bind Runner.actor_backend = "threads".'
        )
    content = {field.name: getattr(recipe, field.name) for field in dataclasses.fields(recipe)}
    content["configured"] = None
    registered = _registered()
    further = sorted(modules.keys() - set(configuration.imported_modules()))
    try:
        here = _here(threads)
        told = (content, config, dict(threads), device, further, registered, here)
        return bytes(cloudpickle.dumps(told))
    except (pickle.PicklingError, TypeError, AttributeError) as error:
        raise UserError(
            f"The agent or the environment cannot be made in another process ({error}): pass "
            "functions and classes that are defined in modules to Runner, or bind "
            'Runner.actor_backend = "threads".'
        ) from error


def unpacked(parcel: bytes, groups: Sequence[Group]) -> Station:
    """A station for these groups, with the configuration in force wherever a part is made.

    Its first `begin` raises UserError if the code here differs from the code in the process that packed
    the parcel.
    """
    import_tensorflow()
    content, config, threads, device, modules, registered, there = pickle.loads(parcel)
    for module in modules:  # modules that gin needs in addition to the configuration's imports
        importlib.import_module(module)
    loaded = configuration.Loaded(lambda: configuration.load_text(config))
    with loaded.in_force():
        _register(registered)
        record = configuration.Record((), {})  # it records later imports
        tensorflow_devices(device)
        threads = tensorflow_threads(**threads)

    def compare() -> list[str]:
        with record.in_force():
            return _differences(there, _here(threads))

    return Station(Recipe(**content | {"configured": record.in_force}), groups, compare)


def _registered() -> dict[str, bytes]:
    """The environments that the program has registered with Gymnasium, anywhere, by id.

    They are pickled one by one, because those that cannot be pickled may not be needed.
    """
    found = {}
    for id, registered in gymnasium.registry.items():
        spec = copy.copy(registered)
        entry: Any = spec.entry_point
        if isinstance(entry, type) and entry.__module__ != "__main__":
            entry = f"{entry.__module__}:{entry.__qualname__}"  # its module is imported if needed
            spec.entry_point = entry
        package = entry.partition(":")[0].partition(".")[0] if isinstance(entry, str) else ""
        if package not in _REGISTER_THEMSELVES:
            with contextlib.suppress(pickle.PicklingError, TypeError, AttributeError):
                found[id] = cloudpickle.dumps(spec)
    return found


_REGISTER_THEMSELVES = ("gymnasium", "ale_py", "dopamine_lite")  # in every process


def _register(environments: Mapping[str, bytes]) -> None:
    """Registers the environments that are not registered here."""
    for id in environments.keys() - gymnasium.registry.keys():
        with contextlib.suppress(Exception):  # whatever is missing: the experiment may not need it
            gymnasium.registry[id] = pickle.loads(environments[id])
    # Their modules may register them again when such an environment is made.
    warnings.filterwarnings("ignore", ".*Overriding environment .* already in registry")


def _differences(there: dict[str, Any], here: dict[str, Any]) -> list[str]:
    """Sentences on machines that differ.

    A module that only one process has loaded is no difference: an actor needs no plots, for example.

    Raises:
      UserError: something else differs, such as the source of a module.
    """
    both = there["modules"].keys() & here["modules"].keys()
    there, here = (
        start
        | {"modules": {name: start["modules"][name] for name in both}}
        # Ray sets this variable. It affects OpenBLAS's threads, which are compared separately.
        | {"variables": start["variables"] | {"OMP_NUM_THREADS": None}}
        for start in (there, here)
    )
    machine = provenance.changes(there, there | {"machine": here["machine"]}, _DIFFERENT)
    for sentence in provenance.changes(there, here, _DIFFERENT):
        if sentence not in machine:
            raise UserError(f"{sentence} Make both the same, and start the run again.")
    return machine


_DIFFERENT = (
    "{subject} is {before} in the run's own process and {now} in an actor's, so the run might not "
    "repeat bit for bit."
)


def _here(threads: Mapping[str, int]) -> dict[str, Any]:
    """Everything in this process on which results depend."""
    return provenance.collect(threads, gpu_names()[:1])  # the device of the actors


class Raised:
    """An exception in another process, to be raised here.

    Args:
      error: the exception.
    """

    def __init__(self, error: BaseException):
        self._text = "".join(traceback.format_exception(error))
        try:
            self._pickled: bytes | None = cloudpickle.dumps(error)
            pickle.loads(self._pickled)  # some exceptions cannot be made again
        except Exception:
            self._pickled = None
        self._name = type(error).__name__

    def error(self) -> BaseException:
        """The exception. Its cause shows the other process's traceback, except for a UserError."""
        if self._pickled is None:
            return RuntimeError(f"In an actor's process:\n\n{self._text}")
        error: BaseException = pickle.loads(self._pickled)
        if not isinstance(error, UserError):
            error.__cause__ = RuntimeError(f"In an actor's process:\n\n{self._text}")
        return error
