"""Backends run trials: their interface, and a trial as a process."""

from __future__ import annotations

import ctypes
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from dopamine_lite.files.plain_files import open_to_append
from dopamine_lite.study.study import Trial

_PR_SET_PDEATHSIG = 1  # of Linux's prctl


class Backend(Protocol):
    """A place where trials run, each as `dopamine-lite train` in a process of its own."""

    def describe(self) -> str:
        """The number of trials at once and their place, in words: "2 at once on this machine"."""

    def has_room(self) -> bool:
        """Whether `start` may be called now."""

    def start(self, trial: Trial) -> None:
        """Starts a trial, or resumes it."""

    def ended(self, seconds: float) -> list[tuple[Trial, int]]:
        """The trials that have ended since the last call, each with its process's exit status as a shell
        reports it. Waits for a trial to end, but no longer than `seconds`."""

    def stop(self) -> None:
        """Asks every trial to stop at its next safe point; `ended` returns it once it has."""

    def kill(self) -> None:
        """Ends every trial at once. `ended` returns none of them."""

    def close(self) -> None:
        """Releases the backend's resources. Called when no trial is running any more."""


def start_process(
    arguments: Sequence[str], output: Path, variables: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Starts `dopamine-lite` with `arguments`; it stops at a safe point if this process ends.

    Args:
      arguments: the command line, without the program's name.
      output: the file to which its output is appended.
      variables: the environment variables of the new process; None: those of this process.
    """
    output.parent.mkdir(parents=True, exist_ok=True)
    parent = os.getpid()
    prctl = ctypes.CDLL(None).prctl  # before the fork, because nothing should be loaded after it

    def end_with_parent() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # the parent has ended meanwhile
            os._exit(128 + signal.SIGTERM)

    with open_to_append(output) as file:
        file.write(f"$ dopamine-lite {shlex.join(arguments)}\n".encode())
        file.flush()
        return subprocess.Popen(
            [sys.executable, "-m", "dopamine_lite", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            env=variables,
            process_group=0,  # a terminal's Ctrl-C goes to the parent, which stops its trials
            preexec_fn=end_with_parent,
        )


def exit_status(process: subprocess.Popen[bytes]) -> int | None:
    """A process's exit status as a shell reports it; None while it runs."""
    status = process.poll()
    return status if status is None or status >= 0 else 128 - status
