"""Weights & Biases: a run's curves, settings and summary, online or in files to be uploaded later."""

from __future__ import annotations

import importlib.util
import uuid
from pathlib import Path
from typing import Any

import gin

from dopamine_lite import configuration
from dopamine_lite.callbacks.callback import RunContext
from dopamine_lite.callbacks.tracking import Row, Tracker, remember, remembered
from dopamine_lite.callbacks.wandb_file import last_step
from dopamine_lite.common.checks import check_choice
from dopamine_lite.common.errors import UserError
from dopamine_lite.files.plain_files import check_directory
from dopamine_lite.reporting.tags import plain

_MODES = ("online", "offline")
_FILE = "wandb.json"  # in the run's directory: the id of W&B's run
_SECONDS = 30  # to reach W&B at the start, and to upload the rest at the end


@gin.configurable
class WandB(Tracker):
    """Logs to Weights & Biases; `wandb/` in the run's directory holds its files.

    A resumed run continues as the same run there. If W&B cannot be reached when a run is started, that
    start is logged offline, and a sentence says how to upload it.

    Args:
      project: the name of the project in W&B.
      entity: a user or a team of W&B; None: the user's default.
      name: the name of the run in W&B; None: the name of its directory.
      group: the name of a group of runs in W&B, such as a study; None: no group.
      mode: "online", which needs one `wandb login` beforehand, or "offline".
    """

    name = "Weights & Biases"

    def __init__(
        self,
        project: str = "dopamine_lite",
        entity: str | None = None,
        name: str | None = None,
        group: str | None = None,
        mode: str = "online",
    ):
        super().__init__()
        check_choice("WandB", _MODES, mode=mode)
        self._settings: dict[str, Any] = {"project": project, "entity": entity, "group": group}
        self._called = name
        self._mode = mode
        self._last_step = -1

    def check(self, run: RunContext) -> None:
        if importlib.util.find_spec("wandb") is None:
            raise UserError(
                "WandB needs Weights & Biases: pip install 'dopamine-lite[wandb]', or leave WandB out "
                "of Runner.callbacks."
            )
        check_directory(run.base_dir / "wandb")
        if self._mode == "online" and not _is_logged_in():
            raise UserError(
                "WandB.mode is 'online', but nobody is logged in to Weights & Biases: run `wandb "
                "login` once, or set WandB.mode = 'offline'."
            )

    def _open(self, run: RunContext) -> None:
        import wandb

        files = run.base_dir / "wandb"
        known = remembered(run.base_dir / _FILE)
        if not known:
            known = {"id": uuid.uuid4().hex[:12]}
            remember(run.base_dir / _FILE, known)
        # Rows that earlier starts wrote are at W&B, or get there with their files.
        self._last_step = last_step(files, known["id"])
        settings = configuration.statements(run.config)
        arguments: dict[str, Any] = {
            **self._settings,
            "id": known["id"],
            "dir": str(run.base_dir),
            "name": self._called or run.base_dir.name,
            "resume": "allow",
            "allow_val_change": True,  # Runner.num_iterations may have been raised
            "config": {key: plain(value) for key, value in settings.items() if value},
            "settings": wandb.Settings(
                console="off",
                silent=True,
                save_code=False,
                init_timeout=_SECONDS,
                finish_timeout=_SECONDS,
                finish_timeout_raises=False,
            ),
        }
        try:
            self._wandb_run = _begun(self._mode, arguments)
        except wandb.errors.Error as error:
            if self._mode == "offline":
                raise
            reason = " ".join(str(error).split())[:200].rstrip(".")
            run.say(f"Weights & Biases cannot be used ({reason}): this start is logged offline.")
            self._wandb_run = _begun("offline", arguments)
        written = Path(self._wandb_run.dir).parent
        offline = f"{written}, which `wandb sync` uploads"
        where = offline if self._wandb_run.offline else self._wandb_run.url
        run.say(f"Weights & Biases has this run as {known['id']}: {where}.")

    def _log(self, agent_steps: int, row: Row) -> None:
        if agent_steps > self._last_step:
            row = row | {"agent_steps": agent_steps}
            self._wandb_run.log(row, step=agent_steps, commit=True)
            self._last_step = agent_steps

    def _note_stop(self, sentence: str) -> None:
        self._wandb_run.summary["stopped"] = sentence

    def _close(self, finished: bool) -> None:
        self._wandb_run.finish(exit_code=0 if finished else 1)


def _is_logged_in() -> bool:
    """Whether W&B has a key. Whether the key is valid turns out when a run begins."""
    import wandb

    try:
        return bool(wandb.login(prompt=False))
    except wandb.errors.Error:  # there is a key, but W&B cannot be reached
        return True


def _begun(mode: str, arguments: dict[str, Any]) -> Any:
    import wandb

    return wandb.init(**arguments | {"mode": mode})
