"""Processes of `dopamine-lite` that need not import TensorFlow, which is half of a short run's time.

A server that has imported it, and has not begun to use it, forks them: each one is as fresh as one
that was started from a shell, and can be killed like it.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path

from dopamine_lite.cli.main import main

_SERVER = multiprocessing.get_context("forkserver")
_SERVER.set_forkserver_preload(["dopamine_lite.cli.train", "dopamine_lite.runner.runner", "keras"])


def start(arguments: Sequence[str], output: Path) -> BaseProcess:
    """Begins `dopamine-lite` with these arguments; what it prints goes into the file `output`."""
    process = _SERVER.Process(target=_run, args=(list(arguments), output))
    process.start()
    return process


def _run(arguments: list[str], output: Path) -> None:
    descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for standard in (1, 2):
        os.dup2(descriptor, standard)
    sys.exit(main(arguments))
