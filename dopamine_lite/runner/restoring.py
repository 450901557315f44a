"""Gives an agent its state from a checkpoint, which must be a checkpoint of the same experiment."""

from __future__ import annotations

import contextlib
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

from dopamine_lite import configuration
from dopamine_lite.checkpointing import Checkpointer, Restored
from dopamine_lite.common.errors import UserError, is_of_users_code
from dopamine_lite.common.types import State
from dopamine_lite.runner import identity
from dopamine_lite.runner.stage import Stage

_LIMIT = "Runner.max_steps_per_episode"


class Restoring:
    """Takes the states in a run's checkpoints.

    Args:
      base_dir: the run's directory.
      stage: the agent and its environments.
      experiment: the experiment's identity that checkpoints keep, from `identity.identity`.
      config: the configuration in force.
      say_once: called with the topic of a sentence for the user, and the sentence.
    """

    def __init__(
        self,
        base_dir: Path,
        stage: Stage,
        experiment: State,
        config: str,
        say_once: Callable[[str, str], None],
    ):
        self._base_dir = base_dir
        self._stage = stage
        self._experiment = experiment
        self._config = config
        self._say_once = say_once

    def load(self, checkpoint: int | str | None, trained: str | None) -> int:
        """Gives the agent its state, without its replay; see `Runner.load`."""
        loaded = Checkpointer(self._base_dir / "checkpoints").load(checkpoint)
        if trained is None:
            self.take_agent(loaded)
            return loaded.number
        statements = configuration.statements
        if statements(trained).get(_LIMIT) == statements(self._config).get(_LIMIT):
            self._keep_limit(loaded)
        identity.check_trained_by(loaded.path, loaded.state.get("experiment"), trained)
        spec = self._stage.spec
        remedy = f"leave out the bindings that change the agent or its environment, {spec.id}"
        with self.refusing_other_experiments(loaded, remedy=remedy):
            self._stage.agent.set_state(loaded.state["agent"])
        return loaded.number

    def take_agent(self, checkpoint: Restored) -> None:
        """Gives the agent its state; raises UserError if the state belongs to another experiment."""
        self._keep_limit(checkpoint)
        identity.check_same_experiment(
            checkpoint.path, checkpoint.state.get("experiment"), self._experiment
        )
        with self.refusing_other_experiments(checkpoint):
            self._stage.agent.set_state(checkpoint.state["agent"])

    def _keep_limit(self, checkpoint: Restored) -> None:
        """Holds a run to the limit that its episodes had when the run was begun."""
        stage, saved = self._stage, checkpoint.state.get("experiment")
        asked = stage.limit
        own = identity.lower_limit(saved, self._base_dir, asked)
        if own is None or stage.spec.max_steps_per_episode != asked:
            return
        stage.limit = own
        stage.spec = stage.look_at_environment()
        environment = identity.environment_identity(stage.make_environment, stage.spec)
        self._experiment["environment"] = environment
        self._say_once(
            "an earlier limit",
            f"Runner.max_steps_per_episode is {asked:,}, but this run was begun by an earlier version, "
            f"in which the setting could not raise the limit of {stage.spec.id}: its episodes still "
            f"end after {own:,} steps.",
        )

    @contextlib.contextmanager
    def refusing_other_experiments(
        self,
        checkpoint: Restored,
        taker: str | None = None,
        remedy: str = "give the run its own `base_dir`",
    ) -> Iterator[None]:
        """Turns an error that is caused by the state of another run into a UserError.

        An error in the user's own code keeps its traceback, with a note that names the checkpoint.

        Args:
          checkpoint: the checkpoint.
          taker: the name of the object that takes the state, for the message; None: the agent.
          remedy: what the user can do, for the message.
        """
        taker = taker or type(self._stage.agent).__name__
        try:
            yield
        except UserError:
            raise
        except Exception as error:
            if is_of_users_code(error):
                error.add_note(f"(while {taker} took its state from {checkpoint.path})")
                raise
            *_, last = traceback.extract_tb(error.__traceback__)
            raise UserError(
                f"The checkpoint {checkpoint.path} does not fit this {taker} "
                f"({type(error).__name__}: {error}, raised in {last.filename}, line {last.lineno}): "
                f"{remedy}."
            ) from error
