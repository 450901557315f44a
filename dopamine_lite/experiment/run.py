"""A run: the directory in which an experiment was trained, with the trained agent."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dopamine_lite import configuration
from dopamine_lite.agents.agent import Agent
from dopamine_lite.environments.environment import EnvironmentSpec
from dopamine_lite.experiment.evaluation import Evaluation
from dopamine_lite.experiment.experiment import Experiment, to_stderr
from dopamine_lite.runner.directory import CONFIG

if TYPE_CHECKING:
    from dopamine_lite.runner.runner import Runner


class Run:
    """A run with the agent of one of its checkpoints. `Experiment.run` and `Run.open` make it.

    Attributes:
      directory: the run's directory.
      checkpoint: the agent steps at which the agent was saved.
      changed: the settings that the bindings of `open` have changed, by name: the run's own value and
        the present value, as gin text.
    """

    def __init__(
        self,
        directory: Path,
        checkpoint: int,
        build: Callable[[], Runner],
        changed: dict[str, tuple[str, str]] | None = None,
    ):
        """`build` makes a Runner with the checkpoint's agent."""
        self.directory = directory
        self.checkpoint = checkpoint
        self.changed = changed or {}
        self._build = build
        self._runner: Runner | None = None
        self._has_played = False

    @classmethod
    def open(
        cls,
        base_dir: str | Path,
        checkpoint: int | str | None = None,
        gin_bindings: Iterable[str] = (),
        *,
        imports: Sequence[str] = (),
        report: Callable[[str], None] = to_stderr,
    ) -> Run:
        """Opens the run in `base_dir` for evaluation. Changes nothing in it.

        Args:
          base_dir: the run's directory.
          checkpoint: the number of a checkpoint, or a name under which a callback keeps one, such as
            "best"; None: the newest; 0: the agent before it learned.
          gin_bindings: bindings that change settings for the evaluation, such as another environment
            or "EpsilonGreedy.epsilon_eval = 0.05". The results of evaluations name the changes. Whatever
            devices the run was trained on, TensorFlow chooses one unless `tensorflow_devices.device` is
            bound here.
          imports: the modules that its config may import, beside this package's. Their code is executed.
          report: called with a sentence for each module that is imported, and for each setting whose
            name or meaning has changed since the run began.

        Returns:
          The run.

        Raises:
          UserError: there is no such run or checkpoint, it is damaged, or the agent does not fit the
            settings that `gin_bindings` have changed.
        """
        bindings = gin_bindings if isinstance(gin_bindings, str) else list(gin_bindings)
        # The devices were for training. An agent that only plays can do so anywhere.
        anywhere = ["tensorflow_devices.device = None", *bindings]
        experiment = Experiment.of_run(base_dir, anywhere, imports=imports, report=report)
        own = trained_config(Path(base_dir)) if bindings else None
        runner = experiment.runner(base_dir)
        number = runner.load(checkpoint, own)
        run = cls(
            runner.base_dir,
            number,
            lambda: _loaded(experiment.runner(base_dir), number, own),
            configuration.changes(own, runner.config) if own else {},
        )
        run._runner = runner
        return run

    @property
    def runner(self) -> Runner:
        """The Runner that trains and plays, with the agent as in the checkpoint or as you left it."""
        if self._runner is None:
            self._runner = self._build()
        return self._runner

    @property
    def agent(self) -> Agent:
        """The agent."""
        return self.runner.agent

    @property
    def spec(self) -> EnvironmentSpec:
        """The environment's specification."""
        return self.runner.spec

    def evaluate(
        self, episodes: int = 100, seed: int = 0, on_episode: Callable[[], None] = lambda: None
    ) -> Evaluation:
        """Plays whole episodes with the evaluation policy. The agent learns nothing; no file is written.

        Args:
          episodes: the number of episodes to play.
          seed: the seed of the environments. The same seed gives the same episodes, whatever was played
            before.
          on_episode: called after each episode.

        Returns:
          The returns and lengths of the episodes, with what they depend on.

        Raises:
          UserError: an episode does not end, or the returns are too large for a mean.
        """
        if self._has_played:  # or the agent's random draws would go on from there
            self._runner = self._build()
        runner, self._has_played = self.runner, True
        records = runner.evaluate(episodes, seed, on_episode)
        return Evaluation(
            environment=runner.spec.id,
            protocol=dict(runner.spec.protocol),
            checkpoint=self.checkpoint,
            seed=seed,
            changed=self.changed,
            returns=[record.episode_return for record in records],
            lengths=[record.length for record in records],
            infos={
                name: [record.infos[name] for record in records]
                for name in runner.info_metrics.names
            },
        )


def trained_config(directory: Path) -> str:
    """The configuration that the run in `directory` was trained with, in the names of this version."""
    path = directory / CONFIG
    return configuration.translated(configuration.config_text(path), str(path))[0]


def _loaded(runner: Runner, checkpoint: int, trained: str | None = None) -> Runner:
    runner.load(checkpoint, trained)
    return runner
