"""Trials as processes on this machine, as many at once as its cores and memory allow."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path

from dopamine_lite.common.machine import usable_cores
from dopamine_lite.common.memory import available_memory
from dopamine_lite.study.backend import exit_status, start_process
from dopamine_lite.study.examination import Needs
from dopamine_lite.study.study import Trial

_SECONDS_BETWEEN_LOOKS = 0.1


class LocalBackend:
    """Runs at most `parallel` trials at once.

    Args:
      study: the study's directory.
      needs: the trials' needs. The greatest needs determine how many trials run at once.
      parallel: the number of trials at once; None: as many as cores and memory allow.
    """

    def __init__(self, study: Path, needs: Iterable[Needs], parallel: int | None = None):
        self._study = study
        self._parallel, self._reason = _at_once(list(needs))
        if parallel is not None:
            self._parallel, self._reason = parallel, "`parallel`"
        self._processes: dict[Trial, subprocess.Popen[bytes]] = {}

    def describe(self) -> str:
        return f"{self._parallel} at once on this machine ({self._reason})"

    def has_room(self) -> bool:
        return len(self._processes) < self._parallel

    def start(self, trial: Trial) -> None:
        self._processes[trial] = start_process(
            trial.arguments(self._study), trial.output(self._study)
        )

    def ended(self, seconds: float) -> list[tuple[Trial, int]]:
        until = time.monotonic() + seconds
        while True:
            found = [
                (trial, status)
                for trial, process in self._processes.items()
                if (status := exit_status(process)) is not None
            ]
            if found or time.monotonic() >= until:
                break
            time.sleep(_SECONDS_BETWEEN_LOOKS)
        for trial, _ in found:
            del self._processes[trial]
        return found

    def stop(self) -> None:
        for process in self._processes.values():
            process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        for process in self._processes.values():
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)  # with processes that an environment started
            process.wait()
        self._processes.clear()

    def close(self) -> None:
        pass


def _at_once(needs: list[Needs]) -> tuple[int, str]:
    """The number of trials that fit the machine, and the reason."""
    busy, memory = (
        max((getattr(each, name) for each in needs), default=1) for name in ("cores", "memory")
    )
    cores, available = usable_cores(), available_memory()
    by_cores, by_memory = cores // busy, available // memory
    reason = (
        f"{cores} core{'s' * (cores != 1)}, {busy} kept busy by each; "
        f"{available / 1e9:.1f} GB free, up to {memory / 1e9:.1f} GB each"
    )
    return max(1, min(by_cores, by_memory)), reason
