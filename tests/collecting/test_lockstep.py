"""Actors apart from the learner: how many there are and where they are changes no bit."""

from __future__ import annotations

import os
import signal

import numpy as np
import pytest

from dopamine_lite.common.errors import UserError
from dopamine_lite.experiment.experiment import Experiment
from dopamine_lite.runner.runner import Runner
from tests.collecting.runs import CARTPOLE, DQN, run, runner
from tests.core import core

EXPERIMENTS = {
    "dqn": DQN,
    "dqn, one block behind": (*DQN, "Runner.policy_lag = 1"),
    "rainbow": (  # with noise that acting draws, and priorities
        "rainbow/cartpole.gin",
        *CARTPOLE,
        "RainbowAgent.min_replay_history = 50",
        "RainbowAgent.update_period = 10",
        "RainbowAgent.batch_size = 8",
    ),
    "initial priorities": (  # by the values that actors tell
        *DQN[:-1],
        "DQNAgent.replay = @PrioritizedReplay",
        "PrioritizedReplay.replay_capacity = 200",
        'PrioritizedReplay.initial_priority = "td_error"',
        "DQNAgent.update_horizon = 3",
    ),
    "epsilons": (  # another one in each environment, whichever actor steps it
        *(each for each in DQN if not each.startswith("EpsilonGreedy")),
        "DQNAgent.exploration = @PerEnvironmentEpsilonGreedy",
    ),
    "ppo": (  # with running statistics of observations
        "ppo/cartpole.gin",
        *CARTPOLE,
        "PPOAgent.rollout_length = 8",
        "PPOAgent.num_minibatches = 2",
        "PPOAgent.normalize_observations = True",
    ),
    "ppo, one block behind": (
        "ppo/cartpole.gin",
        *CARTPOLE,
        "PPOAgent.rollout_length = 8",
        "PPOAgent.num_minibatches = 2",
        "Runner.policy_lag = 1",
    ),
    "pqn": (
        "pqn/cartpole.gin",
        *CARTPOLE,
        "PQNAgent.rollout_length = 8",
        "PQNAgent.num_minibatches = 2",
    ),
    "sac": (
        "sac/pendulum.gin",
        *CARTPOLE,
        "SACAgent.min_replay_history = 50",
        "SACAgent.update_period = 10",
        "SACAgent.updates_per_period = 1",
        "SACAgent.batch_size = 8",
    ),
    "minatar": (  # acts in TensorFlow
        "dqn/minatar.gin",
        *CARTPOLE,
        "DQNAgent.min_replay_history = 50",
        "DQNAgent.update_period = 10",
        "DQNAgent.batch_size = 8",
    ),
    "masks": (
        "dqn/cartpole.gin",
        *DQN[1:],
        "import tests.doors",
        "Runner.environment = @create_environment",
        "create_environment.id = 'tests.doors:Doors-v0'",
        "DQNAgent.torso = @MLP",
    ),
}


LOSSES = {"loss", "policy_loss", "actor_loss"}  # what agents call them


@pytest.mark.parametrize("name", core(EXPERIMENTS, "dqn", "dqn, one block behind", "ppo"))
def test_the_number_of_actors_changes_nothing(name, tmp_path):
    experiment = EXPERIMENTS[name]
    one = run(tmp_path / "one", experiment, actors=1)
    assert len(one["episodes"]) > 5
    assert any(line["train"].keys() & LOSSES for line in one["iterations"])
    three = run(tmp_path / "three", experiment, actors=3)  # groups of 2, 2 and 1
    assert one == three
    processes = run(tmp_path / "processes", experiment, actors=2, backend="processes")
    assert one == processes


def kill_one_of(made: Runner, at: int) -> None:
    if made.agent_steps == at:
        crew = made.training.players._crew
        os.kill(crew._workers[-1]._process.pid, signal.SIGKILL)


def test_actors_that_die_change_nothing(tmp_path, capsys):
    whole = run(tmp_path / "whole", DQN, actors=1)

    def kill(made: Runner) -> None:
        for at in (75, 230, 400):  # in a segment, near its end, and in the second iteration
            kill_one_of(made, at)

    killed = run(tmp_path / "killed", DQN, actors=2, backend="processes", on_step=kill)
    assert killed == whole
    said = capsys.readouterr().err
    assert said.count("An actor has ended (its process received the signal SIGKILL)") == 3


def test_a_block_that_always_kills_its_actor_ends_the_run(tmp_path, monkeypatch):
    from dopamine_lite.collecting import processes

    monkeypatch.setattr(processes, "_START", "import sys; sys.exit(7)")
    with pytest.raises(UserError, match="ended 3 times .*ended with status 7"):
        run(tmp_path / "run", DQN, actors=2, backend="processes")


def test_a_run_is_resumed_with_other_actors(tmp_path):
    whole = run(tmp_path / "whole", DQN, actors=1)
    made = runner(tmp_path / "run", DQN, actors=3, backend="threads")

    class Killed(Exception):
        pass

    def kill() -> None:
        if made.agent_steps == 400:
            raise Killed

    made.stage.after_step = kill
    with pytest.raises(Killed):
        made.run()
    assert run(tmp_path / "run", DQN, actors=2, backend="processes") == whole


def test_whether_there_are_actors_belongs_to_the_experiment(tmp_path):
    run(tmp_path / "run", DQN, actors=1)
    with pytest.raises(UserError, match="Runner.actors: this run a number, now None"):
        runner(tmp_path / "run", DQN, None, "threads").run()
    with pytest.raises(UserError, match="Runner.group_size: this run 2, now 5"):
        runner(tmp_path / "run", (*DQN, "Runner.group_size = 5"), 1, "threads").run()


def test_groups_have_seeds_of_their_own(tmp_path):
    found = run(tmp_path / "run", (*DQN, "DQNAgent.min_replay_history = 5000"), actors=2)
    by_environment = [
        tuple(
            (line["return"], line["agent_steps"])
            for line in found["episodes"]
            if line["stream"] == environment
        )
        for environment in range(5)
    ]
    assert all(by_environment) and len(set(by_environment)) == 5


@pytest.mark.parametrize("lag", [0, 1])
def test_how_often_metrics_are_logged_changes_nothing(lag, tmp_path):
    experiment = (*DQN, "DQNAgent.min_replay_history = 50", f"Runner.policy_lag = {lag}")
    often, seldom = (
        run(tmp_path / str(steps), (*experiment, f"Runner.log_every_steps = {steps}"), actors=1)
        for steps in (10, 1_000)
    )
    assert often["episodes"] == seldom["episodes"]
    assert often["state"] == seldom["state"]


def test_a_policy_lag_is_one_block(tmp_path):
    """The parameters that a block is acted with are those before the last block was learned from."""
    acted, learned = [], []
    bindings = "Runner.policy_lag = 1", 'Runner.schedule = "continuous_train"'
    made = runner(tmp_path / "run", (*DQN, *bindings), 1, "threads")
    agent = made.agent
    learn, parameters = agent.learn, agent.actor_parameters

    def learning(block):
        learn(block)
        learned.append(parameters().copy())

    def acting():
        acted.append((len(learned), parameters().copy()))
        return parameters()

    agent.learn, agent.actor_parameters = learning, acting
    made.run()
    del acted[0]  # asked for before the run, to see whether the agent has any
    blocks = len(acted)
    assert len(learned) == blocks > 20
    behind = [number - known for number, (known, _) in enumerate(acted)]
    assert set(behind) == {0, 1}
    assert behind.count(0) == 2 * 2  # the first block of each segment is not behind
    for known, used in acted:
        if known:
            np.testing.assert_array_equal(used, learned[known - 1])


def test_actors_without_a_group_are_not_started(tmp_path, capsys):
    run(tmp_path / "run", DQN, actors=4)
    sentence = "Runner.actors is 4, but 5 environments in groups of 2 can only keep 3 busy"
    assert sentence in " ".join(capsys.readouterr().err.split())


def test_settings_of_actors_that_are_not_wanted_are_told(tmp_path, capsys):
    bindings = ("dqn/cartpole.gin", *CARTPOLE, "DQNAgent.min_replay_history = 5000")
    runner(tmp_path / "run", bindings, None, "threads").run()
    said = " ".join(capsys.readouterr().err.split())
    settings = "Runner.actor_backend = 'threads' and Runner.group_size = 2 changes nothing"
    assert f"Runner.actors is None, so {settings}" in said


@pytest.mark.parametrize(
    ("bindings", "sentence"),
    [
        (
            ["classics/reinforce_lunar_lander.gin"],
            "ReinforceAgent learns at the end of each episode",
        ),
        (["classics/q_learning_cliff.gin"], "but QLearningAgent does not"),
        ([*DQN, "Runner.policy_lag = 2"], "Runner.policy_lag is 2"),
        ([*DQN, "Runner.group_size = 0"], "Runner.group_size is 0"),
    ],
)
def test_what_actors_cannot_do_is_said(bindings, sentence, tmp_path):
    with pytest.raises(UserError, match=sentence):
        runner(tmp_path / "run", bindings, 2, "threads").run()
    assert not (tmp_path / "run").exists()


def test_a_lag_without_actors_is_refused(tmp_path):
    with pytest.raises(UserError, match="Runner.policy_lag is 1, but Runner.actors is None"):
        runner(tmp_path / "run", (*DQN, "Runner.policy_lag = 1"), None, "threads")


def test_an_unknown_backend_is_refused(tmp_path):
    with pytest.raises(UserError, match="choose one of processes, threads, ray"):
        runner(tmp_path / "run", DQN, 1, "mpi")


FAILS = """
import gymnasium

class Fails(gymnasium.Env):
    observation_space = gymnasium.spaces.Box(-1, 1, (3,))
    action_space = gymnasium.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self._steps = 0
        return self.observation_space.sample() * 0, {}

    def step(self, action):
        self._steps += 1
        if self._steps == 9:
            return 1 / 0
        return self.observation_space.sample() * 0, 0.0, False, False, {}

gymnasium.register("Fails-v0", Fails)
"""


@pytest.mark.parametrize("backend", ["threads", "processes"])
def test_an_error_in_an_actor_is_that_of_the_run(backend, tmp_path, monkeypatch):
    (tmp_path / "failing_place.py").write_text(FAILS)
    monkeypatch.syspath_prepend(tmp_path)
    bindings = (*DQN, 'create_environment.id = "failing_place:Fails-v0"')
    with pytest.raises(ZeroDivisionError) as raised:
        run(tmp_path / "run", bindings, actors=2, backend=backend)
    if backend == "processes":
        assert 'failing_place.py", line' in str(raised.value.__cause__)


COUNTS = """
from dopamine_lite.agents.dqn_agent import DQNAgent
from dopamine_lite.configuration.configurable import configurable

class Own:
    def __init__(self, actor):
        self._actor = actor
        self.inference, self.first_action, self.steps = actor.inference, 0, 0
    def __getattr__(self, name):
        return getattr(self._actor, name)
    def act(self, observations, evaluate=False, action_masks=None):
        self.steps += len(observations)
        return self._actor.act(observations, evaluate, action_masks)

@configurable
class CountingDQN(DQNAgent):
    def __init__(self, spec, seeds, **settings):
        super().__init__(spec, seeds, **settings)
        self.actor = Own(self.actor)
"""


def test_an_actor_that_counts_its_group_only_is_found(tmp_path, monkeypatch):
    (tmp_path / "counting_agent.py").write_text(COUNTS)
    monkeypatch.syspath_prepend(tmp_path)
    config = ["dqn/cartpole.gin", "import counting_agent", "Runner.agent = @CountingDQN"]
    config += ["CountingDQN.torso = @MLP", *CARTPOLE]
    with pytest.raises(UserError, match="Own.steps grew by 2 in 1 steps of 5 environments"):
        run(tmp_path / "run", config, actors=1)


def test_what_is_defined_in_the_program_cannot_go_elsewhere(tmp_path):
    import subprocess
    import sys

    program = tmp_path / "program.py"
    program.write_text(
        f"""
import gin
from dopamine_lite.agents.dqn_agent import DQNAgent
from dopamine_lite.common.errors import UserError
from dopamine_lite.configuration.configurable import configurable
from tests.collecting.runs import CARTPOLE, runner

@configurable
class OfTheProgram(DQNAgent):
    pass

config = ["dqn/cartpole.gin", "Runner.agent = @OfTheProgram", "OfTheProgram.torso = @MLP", *CARTPOLE]
made = runner({str(tmp_path / "run")!r}, config, 2, "processes")
try:
    made.run()
except UserError as error:
    print(error)
"""
    )
    found = subprocess.run(
        [sys.executable, str(program)],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert "OfTheProgram is defined in the main program" in found.stdout, found.stderr


def test_the_directory_of_a_run_with_actors_is_opened_without_them(tmp_path):
    run(tmp_path / "run", DQN, actors=2)
    made = Experiment.of_run(tmp_path / "run").runner(tmp_path / "run")
    made.load()
    assert len(made.evaluate(2, seed=0)) == 2
    assert made.training.players._crew is None


CHANGING = """
import os
import gymnasium
from gymnasium.envs.classic_control import CartPoleEnv

class Changing(CartPoleEnv):
    def step(self, action):
        flag = os.environ["CHANGING_FLAG"]
        if not os.path.exists(flag):
            open(flag, "w").close()
            with open(__file__, "a") as file:
                file.write("# edited")
            os.kill(os.getpid(), 9)
        return super().step(action)

gymnasium.register("Changing-v0", Changing, max_episode_steps=20)
"""


CHANGED = (
    "module changing_place is [0-9a-f]{8} in the run's own process and [0-9a-f]{8} in an actor's"
)


def test_an_actor_does_not_go_on_with_edited_code(tmp_path, monkeypatch):
    (tmp_path / "changing_place.py").write_text(CHANGING)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("CHANGING_FLAG", str(tmp_path / "flag"))
    bindings = (*DQN, 'create_environment.id = "changing_place:Changing-v0"')
    with pytest.raises(UserError, match=CHANGED):
        run(tmp_path / "run", bindings, actors=2, backend="processes")


def test_what_only_the_program_has_loaded_does_not_matter(tmp_path, monkeypatch):
    (tmp_path / "own_place.py").write_text("")
    (tmp_path / "own_plots.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    __import__("own_plots")
    experiment = (*DQN, "import own_place")
    found = run(tmp_path / "processes", experiment, actors=2, backend="processes")
    assert found == run(tmp_path / "threads", experiment, actors=1)


def test_an_actor_knows_what_the_program_has_registered(tmp_path, monkeypatch):
    place = """
import gymnasium
from gymnasium.envs.classic_control import CartPoleEnv

class Registered(CartPoleEnv):
    pass

gymnasium.register("Registered-v0", Registered, max_episode_steps=20)
"""
    (tmp_path / "registering_place.py").write_text(place)
    monkeypatch.syspath_prepend(tmp_path)
    __import__("registering_place")
    experiment = (*DQN, "create_environment.id = 'Registered-v0'")
    found = run(tmp_path / "processes", experiment, actors=2, backend="processes")
    assert found == run(tmp_path / "threads", experiment, actors=1)


TELLING = """
import gymnasium
from gymnasium.envs.classic_control import CartPoleEnv

class Telling(CartPoleEnv):
    def step(self, action):
        seen, reward, terminated, truncated, info = super().step(action)
        return seen, reward, terminated, truncated, {"angle": float(seen[2]), "plan": lambda: 0}

gymnasium.register("Telling-v0", Telling, max_episode_steps=20)
"""


def test_infos_may_hold_what_cannot_be_sent(tmp_path, monkeypatch):
    (tmp_path / "telling_place.py").write_text(TELLING)
    monkeypatch.syspath_prepend(tmp_path)
    told = 'create_environment.id = "telling_place:Telling-v0"', "Runner.info_metrics = ['angle']"
    one = run(tmp_path / "one", (*DQN, *told), actors=1)
    assert all(line["train"]["info_angle"] is not None for line in one["iterations"])
    assert run(tmp_path / "two", (*DQN, *told), actors=2, backend="processes") == one
