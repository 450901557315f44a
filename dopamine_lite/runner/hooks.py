"""A run's callbacks, which are built, called in order and saved with the run."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

from dopamine_lite.callbacks import Callback, RunContext
from dopamine_lite.common.contracts import checked_part
from dopamine_lite.common.errors import UserError
from dopamine_lite.common.types import State
from dopamine_lite.environments.declared import described
from dopamine_lite.reporting.iteration_statistics import EpisodeRecord


class Hooks:
    """The callbacks of a run. As a context manager, it ends the callbacks that were started.

    Args:
      factories: each makes a callback; the second callback of a class is called "Name 2", and so on.

    Raises:
      UserError: `factories` is not a list of functions or classes that make callbacks.
    """

    def __init__(self, factories: Sequence[Callable[[], Callback]]):
        if not isinstance(factories, list | tuple) or not all(map(callable, factories)):
            raise UserError(
                f"Runner.callbacks is {factories!r}: give a list of references to classes or "
                "functions that make a Callback, such as [@EarlyStopping]."
            )
        self._callbacks: dict[str, Callback] = {}
        for factory in factories:
            callback = checked_part("Runner", "callbacks", factory(), Callback)
            kind = type(callback).__name__
            number = 1 + sum(type(other).__name__ == kind for other in self._callbacks.values())
            self._callbacks[kind if number == 1 else f"{kind} {number}"] = callback
        self._of_metrics = self._that_redefine("on_metrics")
        self._of_episodes = self._that_redefine("on_episodes")
        self._started = contextlib.ExitStack()

    def _that_redefine(self, method: str) -> list[Callback]:
        """The callbacks that redefine a method; others need no call."""
        own = getattr(Callback, method)
        return [
            each
            for each in self._callbacks.values()
            if getattr(type(each), method, None) is not own
        ]

    def of_experiment(self, factories: Sequence[Callable[[], Callback]]) -> list[Any]:
        """The `factories` whose callbacks make the run a different experiment."""
        pairs = zip(factories, self._callbacks.values(), strict=True)
        return [factory for factory, callback in pairs if callback.part_of_experiment]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._finished = kind is None
        self._started.close()

    def check(self, run: RunContext) -> None:
        for callback in self._callbacks.values():
            callback.check(run)

    def start(self, run: RunContext) -> None:
        for callback in self._callbacks.values():
            callback.on_start(run)
            self._started.callback(self._end, callback)

    def _end(self, callback: Callback) -> None:
        callback.on_end(self._finished)

    def metrics(self, agent_steps: int, scalars: Mapping[str, float]) -> None:
        for callback in self._of_metrics:
            callback.on_metrics(agent_steps, dict(scalars))

    def episodes(self, phase: str, agent_steps: int, episodes: Sequence[EpisodeRecord]) -> None:
        for callback in self._of_episodes:
            callback.on_episodes(phase, agent_steps, tuple(episodes))

    def iteration(self, record: Mapping[str, Any]) -> str | None:
        """Tells every callback; returns why the run should stop, if any of them says so."""
        reasons = []
        for name, callback in self._callbacks.items():
            reason = callback.on_iteration(copy.deepcopy(dict(record)))
            if reason is None:
                continue
            if not isinstance(reason, str) or not reason.strip():
                raise UserError(
                    f"{type(callback).__name__}.on_iteration returned {described(reason)}: return "
                    "a sentence that says why the run should stop, or None."
                )
            reasons.append(f"{name}: {' '.join(reason.split())}")
        return " ".join(reasons) or None

    def get_state(self) -> State:
        """The states of the callbacks that have one, by name."""
        states = {name: callback.get_state() for name, callback in self._callbacks.items()}
        for name, state in states.items():
            if not isinstance(state, dict):
                raise UserError(
                    f"{name}.get_state returned {described(state)}: return a dictionary."
                )
        return {name: state for name, state in states.items() if state}

    def set_state(self, states: State) -> None:
        """Gives each callback its state back; a callback that was added since then gets none."""
        for name, callback in self._callbacks.items():
            if name in states:
                callback.set_state(states[name])
