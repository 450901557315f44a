"""Begins a run with the weights of another run's agent, and with nothing else from that run."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

from dopamine_lite import configuration
from dopamine_lite.agents.agent import Agent
from dopamine_lite.checkpointing import Checkpointer, Restored
from dopamine_lite.common.errors import UserError, is_of_users_code
from dopamine_lite.files.paths import user_path
from dopamine_lite.files.strict_json import expect, whole
from dopamine_lite.reporting import provenance
from dopamine_lite.runner.directory import is_run

_AT_A_CHECKPOINT = re.compile(r"(?P<run>.+)@(?P<checkpoint>\d+)", re.DOTALL)
_KEY = "from_run"  # the key in provenance
_SHOWN = 5


def begin(agent: Agent, source: str, base_dir: Path, config: str) -> tuple[dict[str, Any], str]:
    """Gives `agent` the weights of another run's agent.

    Args:
      agent: the agent, before its first step.
      source: `Runner.from_run`.
      base_dir: the directory of the run that begins. If this run has begun before, without reaching a
        checkpoint, it begins with the same weights again.
      config: the configuration of the run that begins.

    Returns:
      The run and checkpoint of the weights, for provenance; and a sentence for the user.

    Raises:
      UserError: there is no such run or checkpoint, or its weights do not fit.
    """
    match = _AT_A_CHECKPOINT.fullmatch(source)
    directory = user_path(match["run"] if match else source)
    if not is_run(directory):
        raise UserError(
            f"Runner.from_run is {source!r}, but there is no run in {directory}: name the directory of "
            "a run. To choose one of its checkpoints, add @ and its number, such as runs/first@400."
        )
    before = _begun(base_dir)
    number = int(match["checkpoint"]) if match else before.get("checkpoint")
    loaded = Checkpointer(directory / "checkpoints").load(number)
    origin = {
        "run": str(directory),
        "checkpoint": loaded.number,
        "manifest_sha256": hashlib.sha256((loaded.path / "manifest.json").read_bytes()).hexdigest(),
    }
    if before.get("manifest_sha256", origin["manifest_sha256"]) != origin["manifest_sha256"]:
        raise UserError(
            f"Checkpoint {loaded.number} of {directory} is not the checkpoint that this run began "
            "with: put that checkpoint back, or give another `base_dir`."
        )
    _hand_over(agent, loaded, directory)
    return {_KEY: origin}, _told(loaded, directory, config)


def _begun(base_dir: Path) -> dict[str, Any]:
    """The origin in provenance from an earlier start of the same run; empty if there was none."""
    origin = (provenance.read(base_dir) or {}).get(_KEY, {})
    try:
        number = expect(dict, origin).get("checkpoint")
        if number is not None:
            whole(number)
    except ValueError as error:
        raise UserError(
            f"{base_dir / provenance.FILE} is damaged (its {_KEY}: {error}): restore it from a copy."
        ) from error
    return dict(origin)


def _hand_over(agent: Agent, loaded: Restored, directory: Path) -> None:
    try:
        agent.start_from(loaded.state["agent"])
    except UserError:
        raise
    except Exception as error:
        if is_of_users_code(error):
            raise
        of_others = isinstance(error, KeyError)  # it looks for keys that other agents do not save
        kind = "they belong to another kind of agent"
        reason = kind if of_others else f"{type(error).__name__}: {error}"
        raise UserError(
            f"The weights of {directory} at checkpoint {loaded.number} do not fit this "
            f"{type(agent).__name__} ({reason}): begin with the weights of an agent that has the same "
            "network, observations and actions."
        ) from error


def _told(loaded: Restored, directory: Path, config: str) -> str:
    sentence = f"Beginning with the weights of {directory} at agent step {loaded.number:,}"
    saved = loaded.state.get("experiment")
    own = configuration.translated(saved["config"], str(loaded.path))[0] if saved else config
    changes = [
        f"{name}: there {then}, here {now}"
        for name, (then, now) in configuration.changes(own, config).items()
        if name not in ("Runner.from_run", "Runner.seed")
    ]
    if not changes:
        return f"{sentence}."
    more = len(changes) - _SHOWN
    shown = "; ".join(changes[:_SHOWN]) + f"; and {more} more" * (more > 0)
    return f"{sentence}. That run was trained with other settings ({shown})."
