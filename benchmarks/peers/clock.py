"""The stopwatch that the environments of each framework carry while its training loop is measured.

It is imported in the virtual environment of each framework, so it needs only the standard library.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import sys
import time
from typing import Any, Protocol

from workloads import WORKLOADS, Workload


class Learned(Protocol):
    """What a framework has learned so far."""

    def count(self) -> int:
        """The gradient steps that have been taken, all of them done."""

    def parameters(self) -> int:
        """The number of parameters that are trained, once there has been a gradient step."""


class NothingLearned:
    """What a random agent learns."""

    def count(self) -> int:
        return 0

    parameters = count


class Clock:
    """Counts agent steps and, between two of them, measures the windows that are asked for.

    It talks with `measure.py` in lines: each line that it reads from stdin is the length of a window in
    seconds, and the answer to it is a line of JSON on stdout. Between two windows the process stands
    still. After the last line, the process ends. What the framework prints goes to stderr.

    Args:
      framework: the name of the framework.
      distribution: the package whose version is its version.
      version: its version, if no package has it.
    """

    def __init__(self, framework: str, distribution: str = "", *, version: str = ""):
        parser = argparse.ArgumentParser(description=f"Measures {framework}.")
        parser.add_argument("workload", choices=WORKLOADS)
        parser.add_argument("--variant", default="", help="what differs from the workload")
        parser.add_argument("--threads", type=int, default=0, help="0: as the framework has it")
        parser.add_argument("--started", type=float, default=time.time(), help="Unix time")
        arguments = parser.parse_args()
        self.workload: Workload = WORKLOADS[arguments.workload]
        self.variant: str = arguments.variant
        self.threads: int = arguments.threads
        self._started: float = arguments.started
        self._answers = os.fdopen(os.dup(1), "w")
        os.dup2(2, 1)
        version = version or importlib.metadata.version(distribution)
        self._facts: dict[str, Any] = {"framework": framework, "version": version}
        self._steps = 0
        self._next = 1  # the step at which to look up
        self._window: tuple[float, float, int, int] | None = None  # seconds, start, steps, updates

    def watch(self, environments: Any, method: str, learned: Learned) -> None:
        """Counts a step of each environment whenever `environments.method` has returned.

        Args:
          environments: all environments of the workload, stepped together.
          method: the name of the method that steps them.
          learned: counts gradient steps.
        """
        step, num_envs = getattr(environments, method), self.workload.num_envs
        self._learned = learned

        def counted(*args: Any, **kwargs: Any) -> Any:
            result = step(*args, **kwargs)
            self._steps += num_envs
            if self._steps >= self._next:
                self._look_up()
            return result

        setattr(environments, method, counted)

    def limit_xla_threads(self) -> None:
        """Has XLA on the CPU use one thread if one is asked for; call it before JAX is imported.

        It takes no other number: without this, it takes all cores.
        """
        if self.threads == 1:
            flags = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
            os.environ["XLA_FLAGS"] = flags

    def _look_up(self) -> None:
        if self._steps == self.workload.num_envs:  # the first
            self._facts["first_step_seconds"] = round(time.time() - self._started, 3)
            self._next = self.workload.warmup
            return
        if self._window is None:
            self._answer(self._facts | {"parameters": self._learned.parameters()})
            self._wait()
        else:
            length, start, steps, updates = self._window
            if time.perf_counter() - start >= length:
                done = {"steps": self._steps - steps, "updates": self._learned.count() - updates}
                self._answer(done | {"seconds": round(time.perf_counter() - start, 4)})
                self._wait()
        self._next += self.workload.cycle

    def _answer(self, answer: dict[str, Any]) -> None:
        print(json.dumps(answer), file=self._answers, flush=True)

    def _wait(self) -> None:
        """Waits for the next window and begins it; ends the process if there is none."""
        line = sys.stdin.readline()
        if not line:
            os._exit(0)  # whatever threads the framework has
        updates = self._learned.count()  # waits for them
        self._window = float(line), time.perf_counter(), self._steps, updates
