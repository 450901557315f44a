"""What environments and machines do to actors: none of it changes a result or stops a run for good."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dopamine_lite.runner.runner import Runner
from tests.collecting.runs import CARTPOLE, DQN, run
from tests.core import core

ROOT = Path(__file__).parents[2]


SAC = (
    "sac/pendulum.gin",
    *CARTPOLE,
    "SACAgent.min_replay_history = 400",
    "SACAgent.warmup_hold = 5",  # so that its actor's state has an array
    "SACAgent.update_period = 35",
    "SACAgent.updates_per_period = 1",
    "SACAgent.batch_size = 8",
    "Runner.log_every_steps = 10000",
    "Runner.group_size = 5",
    'create_environment.id = "dying_place:Dying-v0"',
)
DYING = """
import os
import gymnasium
from gymnasium.envs.classic_control.pendulum import PendulumEnv
from dopamine_lite.collecting import channel

write, count = channel.Shared.write, [0]

def killing(self, start, content):
    write(self, start, content)
    count[0] += 1
    if count[0] == int(os.environ["DYING_AT"]) and not os.path.exists(os.environ["DYING_FLAG"]):
        open(os.environ["DYING_FLAG"], "w").close()
        os.kill(os.getpid(), 9)

class Dying(PendulumEnv):
    def __init__(self, **settings):
        super().__init__(**settings)
        if os.environ["DYING_NOT"] != str(os.getpid()):
            channel.Shared.write = killing

gymnasium.register("Dying-v0", Dying, max_episode_steps=20)
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Makes a module that can be imported."""
    monkeypatch.syspath_prepend(tmp_path)

    def make(name: str, text: str) -> None:
        (tmp_path / f"{name}.py").write_text(text)

    return make


@pytest.mark.parametrize("at", core((12, 18, 21, 44), 21))  # arrays that it has written
def test_an_actor_that_dies_while_it_answers_changes_nothing(at, tmp_path, place, monkeypatch):
    place("dying_place", DYING)
    monkeypatch.setenv("DYING_NOT", str(os.getpid()))  # but an actor's process
    whole = run(tmp_path / "whole", SAC, actors=1)
    monkeypatch.setenv("DYING_AT", str(at))
    monkeypatch.setenv("DYING_FLAG", str(tmp_path / "flag"))
    assert run(tmp_path / "run", SAC, actors=1, backend="processes") == whole
    assert (tmp_path / "flag").exists()


CONFIGURED = """
import time
import gin, gymnasium
from gymnasium.envs.classic_control import CartPoleEnv

@gin.configurable
def pole_of_hardships(length=0.5):
    return length

SEEN = []

class Configured(CartPoleEnv):
    def __init__(self, **settings):
        super().__init__(**settings)
        time.sleep(0.02)  # for others to be made meanwhile
        self.length = pole_of_hardships()
        SEEN.append(self.length)

gymnasium.register("Configured-v0", Configured, max_episode_steps=20)
"""


def test_environments_in_threads_are_made_as_they_are_configured(tmp_path, place):
    place("configured_place", CONFIGURED)
    __import__("configured_place")
    experiment = (
        *DQN,
        'create_environment.id = "configured_place:Configured-v0"',
        "pole_of_hardships.length = 0.25",
        "Runner.evaluation_episodes = 5",
    )
    run(tmp_path / "run", experiment, actors=3)
    assert set(sys.modules["configured_place"].SEEN) == {0.25}


HELPED = """
import os, signal, subprocess, sys, time
import gymnasium
from gymnasium.envs.classic_control import CartPoleEnv

class Terminates(CartPoleEnv):
    def __init__(self, **settings):
        super().__init__(**settings)
        self._helper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(100)"])

    def close(self):
        super().close()
        self._helper.terminate()
        self._helper.wait()

class Forks(CartPoleEnv):
    def __init__(self, **settings):
        super().__init__(**settings)
        self._helper = os.fork()
        if not self._helper:
            time.sleep(100)
            os._exit(0)

    def close(self):
        super().close()
        if self._helper:
            os.kill(self._helper, signal.SIGTERM)
            os.waitpid(self._helper, 0)
            self._helper = None

gymnasium.register("Terminates-v0", Terminates, max_episode_steps=20)
gymnasium.register("Forks-v0", Forks, max_episode_steps=20)
"""


@pytest.mark.timeout(120)
@pytest.mark.parametrize("name", core(["Terminates", "Forks"], "Forks"))
def test_helpers_of_an_environment_neither_keep_it_nor_hide_its_death(name, tmp_path, place):
    place("helped_place", HELPED)
    experiment = (*DQN, f'create_environment.id = "helped_place:{name}-v0"')

    def kill(made: Runner) -> None:
        if made.agent_steps == 75:
            os.kill(made.training.players._crew._workers[-1]._process.pid, signal.SIGKILL)

    found = run(tmp_path / "run", experiment, actors=2, backend="processes", on_step=kill)
    assert len(found["iterations"]) == 2


def test_unusual_machines(tmp_path, monkeypatch, capsys):
    """Many open files, a path that is no string, and a signal without a name."""
    monkeypatch.setattr(sys, "path", [*sys.path, Path("/nowhere")])
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4_096, limits[1]), limits[1]))
    files = [open(os.devnull) for _ in range(1_100)]  # noqa: SIM115

    def kill(made: Runner) -> None:
        if made.agent_steps == 75:
            os.kill(made.training.players._crew._workers[0]._process.pid, 40)

    try:
        run(tmp_path / "run", DQN, actors=2, backend="processes", on_step=kill)
    finally:
        for file in files:
            file.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert "its process received the signal 40" in capsys.readouterr().err


EXITING = """
import sys, time
import gymnasium
from gymnasium.envs.classic_control import CartPoleEnv

class Exits(CartPoleEnv):
    def step(self, action):
        sys.exit("enough")

class Hangs(CartPoleEnv):
    def step(self, action):
        print("hangs", flush=True)
        time.sleep(1_000)

gymnasium.register("Exits-v0", Exits, max_episode_steps=20)
gymnasium.register("Hangs-v0", Hangs, max_episode_steps=20)
"""


@pytest.mark.parametrize("backend", ["threads", "processes"])
def test_an_environment_that_exits_ends_the_run(backend, tmp_path, place):
    place("exiting_place", EXITING)
    experiment = (*DQN, 'create_environment.id = "exiting_place:Exits-v0"')
    with pytest.raises(SystemExit, match="enough"):
        run(tmp_path / "run", experiment, actors=2, backend=backend)


@pytest.mark.exhaustive
def test_an_actor_ends_with_its_run_even_if_its_environment_hangs(tmp_path, place):
    place("exiting_place", EXITING)
    program = f"""
import sys
from pathlib import Path
sys.path.insert(0, {str(tmp_path)!r})
from tests.collecting.runs import DQN, run
experiment = (*DQN, 'create_environment.id = "exiting_place:Hangs-v0"')
run(Path({str(tmp_path / "run")!r}), experiment, actors=1, backend="processes")
"""
    process = subprocess.Popen(
        [sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert process.stdout is not None
    assert b"hangs" in process.stdout.readline()
    (actor,) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    process.kill()
    process.wait()
    deadline = time.monotonic() + 10
    while Path(f"/proc/{actor}").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not Path(f"/proc/{actor}").exists()
