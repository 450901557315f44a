"""Any value for any parameter of the package: the experiment is built, or refused in a sentence.

A few draws, always the same, belong to the suite. A search of its own tries as many as it is told and
also runs what can be built:

    ANY_BINDING_EXAMPLES=5000 python -m pytest tests/configuration/test_any_binding.py --timeout=0
"""

from __future__ import annotations

import importlib
import os
import pkgutil
import signal
import tempfile
from pathlib import Path

import hypothesis
import hypothesis.strategies as st
import pytest
from gin import config as gin_config

import dopamine_lite
from dopamine_lite import configuration
from dopamine_lite.common.errors import UserError
from dopamine_lite.configuration.bindings import parameters_of
from dopamine_lite.runner.runner import Runner

SEARCHED = int(os.environ.get("ANY_BINDING_EXAMPLES", 0))
SECONDS = 600  # after which an example hangs, whatever else the machine does

SHORT = [
    "Runner.num_iterations = 1",
    "Runner.training_steps = 64",
    "Runner.log_every_steps = 32",
    "Runner.max_steps_per_episode = 10",
    'Runner.schedule = "continuous_train"',
    "Runner.evaluation_episodes = 1",
    "tensorflow_threads.intra_op = 1",
]
VALUE = ["min_replay_history = 20", "update_period = 16"]
BASES = {  # an experiment in which each configurable is used, and bindings that make it small
    "DQNAgent QHead EpsilonGreedy CircularReplay Adam MLP Runner create_environment "
    "tensorflow_threads tensorflow_devices": (
        "dqn/cartpole.gin",
        [f"DQNAgent.{each}" for each in VALUE],
    ),
    **{
        schedule: (
            "dqn/cartpole.gin",
            [
                *(f"DQNAgent.{each}" for each in VALUE),
                "Adam.decay_updates = None",
                f"Adam.schedule = @{schedule}",
                *further,
            ],
        )
        for schedule, further in (
            ("ConstantSchedule", []),
            ("LinearSchedule", ["LinearSchedule.updates = 9"]),
            ("CosineSchedule", ["CosineSchedule.updates = 9"]),
            ("ExponentialSchedule", ["ExponentialSchedule.updates = 9"]),
            ("StepSchedule", ["StepSchedule.updates = 2"]),
        )
    },
    "RMSProp": ("dqn/cartpole.gin", ["DQNAgent.optimizer = @RMSProp"]),
    "Munchausen": (
        "dqn/cartpole.gin",
        [
            "DQNAgent.munchausen = @Munchausen",
            "DQNAgent.double = False",
            "DQNAgent.update_horizon = 1",
        ],
    ),
    "Boltzmann": ("classics/dqn_boltzmann_cartpole.gin", []),
    "PerEnvironmentEpsilonGreedy": (
        "dqn/cartpole.gin",
        [
            *(f"DQNAgent.{each}" for each in VALUE),
            "DQNAgent.exploration = @PerEnvironmentEpsilonGreedy",
        ],
    ),
    "C51Agent CategoricalHead": ("c51/cartpole.gin", [f"C51Agent.{each}" for each in VALUE]),
    "QRDQNAgent QuantileHead": ("qr_dqn/cartpole.gin", [f"QRDQNAgent.{each}" for each in VALUE]),
    "IQNAgent ImplicitQuantileHead": ("iqn/cartpole.gin", [f"IQNAgent.{each}" for each in VALUE]),
    "RainbowAgent PrioritizedReplay": (
        "rainbow/cartpole.gin",
        [f"RainbowAgent.{each}" for each in VALUE],
    ),
    "PQNAgent RAdam": (
        "pqn/cartpole.gin",
        ["PQNAgent.rollout_length = 8", "PQNAgent.num_minibatches = 4"],
    ),
    "PPOAgent CategoricalPolicy": ("ppo/cartpole.gin", ["PPOAgent.rollout_length = 8"]),
    "SACAgent": (
        "sac/pendulum.gin",
        ["SACAgent.min_replay_history = 20", "SACAgent.update_period = 16"],
    ),
    "GaussianPolicy": (
        "ppo/pendulum.gin",
        ["PPOAgent.rollout_length = 8", "PPOAgent.num_minibatches = 4"],
    ),
    "ReinforceAgent": (
        "classics/reinforce_lunar_lander.gin",
        ['create_environment.id = "CartPole-v1"', "ReinforceAgent.batch_episodes = 1"],
    ),
    "QLearningAgent wrapped_environment Discretise": ("classics/q_learning_cartpole.gin", []),
    "SarsaAgent": ("classics/sarsa_cartpole.gin", []),
    "DoubleQLearningAgent": ("classics/double_q_cartpole.gin", []),
    "RandomAgent AtariEnvironment": ("random/atari.gin", []),
    "DopamineAdapter SwitchingAgent": ("classics/switching_asterix.gin", []),
    "Crop Binarise DifferenceFrame SelectActions": (
        "classics/reinforce_pong.gin",
        ["Runner.num_envs = 2"],
    ),
    "RandomShift NatureCNN": ("rainbow/atari_100k_drq.gin", []),
    "ImpalaCNN": ("rainbow/atari_100k_drq.gin", ["RainbowAgent.torso = @ImpalaCNN"]),
    "Grey Resize StackFrames": (
        "dqn/car_racing.gin",
        ["Runner.num_envs = 1", "DQNAgent.min_replay_history = 20", "DQNAgent.update_period = 16"],
    ),
    "SmallCNN": (
        "dqn/car_racing.gin",
        [
            "Runner.num_envs = 1",
            "Resize.height = 8",
            "Resize.width = 8",
            "DQNAgent.torso = @SmallCNN",
        ],
    ),
    "DictTorso": (
        "dqn/cartpole.gin",
        [
            'create_environment.id = "Blackjack-v1"',
            "DQNAgent.torso = @DictTorso",
            'DictTorso.torsos = {"0": @MLP, "1": @MLP, "2": @MLP}',
        ],
    ),
    "Flatten": (
        "dqn/cartpole.gin",
        [
            "import dopamine_lite.environments.wrappers",
            'create_environment.id = "Blackjack-v1"',
            "Runner.environment = @wrapped_environment",
            "wrapped_environment.environment = @create_environment",
            "wrapped_environment.wrappers = [@Flatten]",
        ],
    ),
    "MinAtarCNN MinAtarEnvironment": ("dqn/minatar.gin", []),
    "EarlyStopping KeepBest Prune WandB MLflow": (
        "classics/q_learning_cliff.gin",
        [
            "Runner.callbacks = [@EarlyStopping, @KeepBest, @Prune, @WandB, @MLflow]",
            *(
                f"{name}.metric = 'train/td_error'"
                for name in ("EarlyStopping", "KeepBest", "Prune")
            ),
        ],
    ),
}
BASE_OF = {name: base for names, base in BASES.items() for name in names.split()}


def _configurables() -> list[str]:
    """Every one of this package's, by its shortest name."""
    for module in pkgutil.walk_packages(dopamine_lite.__path__, "dopamine_lite."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    selectors = [each for each, _ in gin_config._REGISTRY.items()]
    return sorted(
        gin_config._REGISTRY.minimal_selector(each)
        for each in selectors
        if each.startswith("dopamine_lite.")
    )


CONFIGURABLES = _configurables()
PARAMETERS = [(name, parameter) for name in CONFIGURABLES for parameter in parameters_of(name)]

REFERENCES = st.builds(
    "{}{}".format,
    st.sampled_from([f"@{name}" for name in CONFIGURABLES] + ["@some/scope/MLP", "@singleton"]),
    st.sampled_from(["", "", "()"]),
)
SCALARS = st.one_of(
    st.sampled_from(["None", "True", "False", "%whole", "%text", "%list", "%gin.REQUIRED"]),
    st.sampled_from(["1e999", "-1e999", "1e308", "1e-320", "0", "-0.0", "-1", "1.5", "1e6"]),
    st.sampled_from(["3", "2**0"[0], "10**30".replace("10**30", "1" + 30 * "0"), str(2**63)]),
    st.integers(-3, 300).map(str),
    st.integers().map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.sampled_from(["''", "'no'", "'é日'", "'a\\x00b'", "'/dev/null'", "'nan'", "b'x'", "1j"]),
    st.text(max_size=5).map(repr),
    REFERENCES,
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4).map(lambda each: f"[{', '.join(each)}]"),
        st.lists(inner, min_size=1, max_size=4).map(lambda each: f"({', '.join(each)},)"),
        st.dictionaries(SCALARS, inner, max_size=2).map(
            lambda each: "{" + ", ".join(f"{key}: {value}" for key, value in each.items()) + "}"
        ),
    ),
    max_leaves=5,
)
MACROS = ["whole = 3", "text = 'three'", "list = [%whole, 4]"]


def _try(name: str, parameter: str, value: str) -> None:
    """Builds the experiment, and runs it in a search. Anything but a UserError is let through."""
    file, small = BASE_OF.get(name, BASE_OF["Runner"])
    macros = [each for each in MACROS if f"%{each.split()[0]}" in f"{value} {MACROS[2]}"]
    used = [each for each in macros if "%" in value]
    bindings = [*SHORT, *small, *used, f"{name}.{parameter} = {value}"]
    with tempfile.TemporaryDirectory() as place:
        run = Path(place) / "run"
        try:
            configuration.load([file], bindings)
            runner = configuration.construct(Runner, run)
            runner._configuration.check()  # as `run` does before it writes anything
            runner.check_memory()
        except UserError as error:
            _check_sentence(str(error))
            assert not run.exists()
            return
        assert not run.exists()
        if SEARCHED:
            try:
                runner.run()
            except UserError as error:
                _check_sentence(str(error))


def _check_sentence(sentence: str) -> None:
    assert sentence.endswith((".", "?")) or "bind" in sentence, sentence
    assert "Traceback" not in sentence and " object at 0x" not in sentence


def _hangs(_number: int, _frame: object) -> None:
    raise AssertionError(f"no answer after {SECONDS} s")


@pytest.fixture(scope="module")
def alarm():
    before = signal.signal(signal.SIGALRM, _hangs)
    yield
    signal.signal(signal.SIGALRM, before)


@hypothesis.settings(
    max_examples=SEARCHED or 25,
    derandomize=not SEARCHED,
    database=None,
    deadline=None,
    suppress_health_check=list(hypothesis.HealthCheck),
    report_multiple_bugs=False,
)
@hypothesis.given(st.sampled_from(PARAMETERS), VALUES)
def test_any_value_for_any_parameter(alarm, bound, value):
    signal.alarm(SECONDS)
    try:
        _try(*bound, value)
    finally:
        signal.alarm(0)


@pytest.mark.exhaustive
@pytest.mark.parametrize("names", BASES)
def test_every_experiment_is_built_as_it_is(names, tmp_path):
    file, small = BASES[names]
    configuration.load([file], [*SHORT, *small])
    configuration.construct(Runner, tmp_path / "run")._configuration.check()


def test_every_parameter_of_the_package_declares_its_kind():
    from typing import Any

    from dopamine_lite.configuration.parameters import declared

    for name in CONFIGURABLES:
        wrapped = gin_config._REGISTRY.get_match(name).wrapped
        assert not [each for each, (kind, _) in declared(wrapped).items() if kind is Any], name


def test_every_configurable_has_an_experiment_to_be_tried_in():
    assert set(CONFIGURABLES) == set(BASE_OF)
