"""`describe`: what can be bound on every part, from the part itself, and what a config comes to."""

from __future__ import annotations

import functools
import importlib
import inspect
import json
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gin import config as gin_config

from dopamine_lite import configuration
from dopamine_lite.acting.exploration import EpsilonGreedy
from dopamine_lite.agents.dqn_agent import DQNAgent
from dopamine_lite.common.seeding import Seeds
from dopamine_lite.configuration import catalogue, description, parameters
from dopamine_lite.environments.environment import EnvironmentSpec
from dopamine_lite.networks.heads import QHead
from dopamine_lite.networks.torsos import MLP
from dopamine_lite.replay.circular_replay import CircularReplay
from tests.cli.test_main import _modules_imported_by


@pytest.fixture(autouse=True)
def _parts_of_the_package(monkeypatch):
    """What other tests in this process have made known to gin is left aside."""
    registered = parameters._registered

    def of_the_package():
        for reference in registered():
            if reference.configurable.selector.startswith("dopamine_lite."):
                yield reference

    monkeypatch.setattr(parameters, "_registered", of_the_package)


MINE = """\
import gin
from dopamine_lite.agents.dqn_agent import DQNAgent
from dopamine_lite.acting.exploration import EpsilonGreedy

@gin.configurable
class {agent}(DQNAgent):
    '''DQN that is bold.

    Args:
      boldness: how bold.
      gamma: discount, bolder.
    '''

    def __init__(self, spec, seeds, *, boldness: float = 0.5, **settings):
        super().__init__(spec, seeds, **settings)
"""


@pytest.fixture
def mine(tmp_path, monkeypatch) -> tuple[str, str]:
    """A module and its agent, by names that no other test has registered."""
    number = abs(hash(tmp_path)) % 10**8
    module, agent = f"mine_{number}", f"Bold{number}Agent"
    (tmp_path / f"{module}.py").write_text(MINE.format(agent=agent))
    monkeypatch.syspath_prepend(tmp_path)
    return module, agent


def test_the_catalogue_has_all_that_gin_knows_of_the_package():
    for part in catalogue.parts():
        importlib.import_module(part.module)
    known = {name for name, _ in gin_config._REGISTRY.items() if name.startswith("dopamine_lite.")}
    assert {part.selector for part in catalogue.parts()} == known
    for part in catalogue.parts():
        wrapped = gin_config._REGISTRY.get_match(part.selector).wrapped
        assert part.summary == inspect.getdoc(wrapped).partition("\n")[0]


@pytest.mark.parametrize("part", catalogue.parts(), ids=lambda part: part.name)
def test_every_parameter_has_words(part):
    about = description.described(part)
    for parameter in about.parameters:
        assert len(parameter.help) > 3, f"no docstring tells of {part.name}.{parameter.name}"
        assert not parameter.help.startswith("see `"), parameter
        assert parameter.kind != "any value"
        assert bool(parameter.fits) == ("reference" in parameter.kind), parameter


def test_what_is_said_to_be_given_is_what_is_given():
    """Of what an agent builds; the parameters by the names that they have there."""
    given: dict[str, set[str]] = {}

    def kept(name: str, part: Any) -> Any:
        def call(*arguments: Any, **keywords: Any) -> Any:
            given[name] = set(inspect.signature(part).bind(*arguments, **keywords).arguments)
            return part(*arguments, **keywords)

        return call

    spec = EnvironmentSpec(
        "X-v0", gymnasium.spaces.Box(-1, 1, (3,), np.float32), gymnasium.spaces.Discrete(2), 1
    )
    parts = {
        "torso": (MLP, catalogue.TORSO),
        "head": (QHead, catalogue.HEAD),
        "replay": (
            functools.wraps(CircularReplay)(functools.partial(CircularReplay, replay_capacity=100)),
            catalogue.REPLAY,
        ),
        "exploration": (EpsilonGreedy, catalogue.EXPLORATION),
    }
    DQNAgent(spec, Seeds(0), **{name: kept(name, part) for name, (part, _) in parts.items()})
    assert given == {name: set(kind.given) for name, (_, kind) in parts.items()}


def test_an_agent(cli):
    shown = cli("describe", "dqnagent")
    assert shown.status == 0 and shown.err == ""
    for line in (
        "  import dopamine_lite.agents.dqn_agent",
        "  Runner.agent = @DQNAgent",
        "  DQNAgent.gamma = 0.99",
        "      A number: the discount per agent step.",
        "  DQNAgent.torso = @NatureCNN",
        "      Parts that fit: @NatureCNN, @DictTorso, @ImpalaCNN, @MLP, @MinAtarCNN, @SmallCNN.",
        "      Parts that fit: @QHead.",  # of four heads the one that it learns from
        "  DQNAgent.loss = 'huber'",
        "Passed by the code that creates it, not by gin: spec, seeds.",
    ):
        assert f"\n{line}\n" in shown.out, line
    assert "dqn/cartpole.gin" in shown.out and "ppo/" not in shown.out


def test_a_wrapper_is_no_environment_of_its_own(cli):
    about = json.loads(cli("describe", "wrapped_environment", "--json").out)
    fits = {each["name"]: each["fits"] for each in about["parameters"]}
    assert {"@create_environment", "@AtariEnvironment"} <= set(fits["environment"])
    assert "@Discretise" in fits["wrappers"] and not set(fits["wrappers"]) & set(
        fits["environment"]
    )
    assert [each["default"] for each in about["parameters"]] == [None, "()"]
    text = cli("describe", "@wrapped_environment").out
    assert "  wrapped_environment.environment = ...  (must be bound)\n" in text


def test_help_is_inherited(cli):
    about = json.loads(cli("describe", "CategoricalHead", "--json").out)
    helped = {each["name"]: each["help"] for each in about["parameters"]}
    assert helped["noisy"].startswith("use noisy layers")  # of the base class
    assert helped["vmin"] == "the lowest atom, in units of return."
    about = json.loads(cli("describe", "PrioritizedReplay", "--json").out)
    helped = {each["name"]: each["help"] for each in about["parameters"]}
    # It says "see `CircularReplay`".
    assert helped["replay_capacity"].startswith("the number of frames")


def test_one_parameter(cli):
    shown = cli("describe", "Adam.Learning_Rate")
    assert (
        shown.out == "  Adam.learning_rate = 6.25e-05\n"
        "      A number: lr, the learning rate before any schedule.\n"
    )


def test_a_users_part_has_what_it_hands_on(cli, mine):
    module, agent = mine
    about = json.loads(cli("describe", agent.lower(), "--import", module, "--json").out)
    assert about["part"] == {
        "name": agent,
        "module": module,
        "kind": "agent",
        "summary": "DQN that is bold.",
    }
    parameters = {each["name"]: each for each in about["parameters"]}
    assert parameters["boldness"]["help"] == "how bold."
    assert parameters["boldness"]["default"] == "0.5"
    assert parameters["gamma"]["help"] == "discount, bolder."  # the nearest docstring counts
    assert parameters["batch_size"]["help"] == "the transitions in a gradient step."
    assert about["given"] == ["spec", "seeds"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((), "describe takes one NAME, not 0"),
        (("MLP", "QHead"), "describe takes one NAME, not 2"),
        (("hidden_units",), "'hidden_units': it is a setting of MLP or "),
        (("MLPP",), "There is no part or config named 'MLPP': did you mean MLP?"),
        (("rainbow",), "did you mean RainbowAgent or rainbow/"),
        (("dqn/cartpol.gin",), "did you mean dqn/cartpole.gin"),
        (("mein.gin",), "'mein.gin': `dopamine-lite list` shows all names"),
        (("CartPole-v1",), "for an environment use `dopamine-lite check-environment CartPole-v1`"),
        (("zzz",), "'zzz': `dopamine-lite list` shows all names; --import MODULE adds"),
        (
            ("MLP.hiden_units",),
            "MLP has no parameter hiden_units that can be bound: did you mean h",
        ),
        (("MLP.seeds",), "MLP.seeds cannot be bound: the code that creates the part passes it."),
        (("X", "--import", "no_such_module"), "There is no module no_such_module to import"),
    ],
)
def test_mistakes_have_a_sentence(cli, arguments, sentence):
    refused = cli("describe", *arguments)
    assert refused.status == 2 and refused.out == ""
    assert sentence in refused.err and refused.err.count("\n") == 1, refused.err


def test_lines_are_as_wide_as_the_terminal(cli, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    lines = cli("describe", "RainbowAgent").out.splitlines()
    assert len(lines) > 50 and max(map(len, lines)) <= 60


def test_parts_without_tensorflow_are_described_without_it():
    for name in ("EpsilonGreedy", "wrapped_environment", "dopamine_lite.agents.SarsaAgent"):
        assert not {"tensorflow", "keras"} & _modules_imported_by("describe", name)


@pytest.mark.parametrize("name", ["random", "dqn"])
def test_a_config_comes_to_what_its_run_has_in_force(name, runs, gin_files, cli):
    """`describe` builds nothing, the run's config.gin is what was used; they agree to a letter."""
    shown = cli("describe", gin_files[name], "--json")
    assert shown.status == 0, shown.err
    settings = json.loads(shown.out)["settings"]
    found = {setting["name"]: setting["value"] for setting in settings}
    text = (runs[name] / "config.gin").read_text()
    in_force = {key: value for key, value in configuration.statements(text).items() if value}
    left_out = {key: found.pop(key) for key in found.keys() - in_force.keys()}
    assert found == in_force
    # Gin writes no default that is a class.
    assert left_out == ({"DQNAgent.head": "@QHead"} if name == "dqn" else {})


def test_a_config_says_where_each_value_is_from(gin_files, cli):
    settings = json.loads(cli("describe", gin_files["dqn"], "--json").out)["settings"]
    places = {setting["name"]: setting["place"] for setting in settings}
    assert places["DQNAgent.munchausen"] is None  # a default
    files = {str(gin_files["dqn"]): gin_files["dqn"]}
    packaged = configuration.packaged_configs()
    read = 0
    for setting in settings:
        if setting["place"] is None:
            continue
        name, _, number = setting["place"].partition(", line ")
        file: Path = files.get(name, packaged / name)
        line = file.read_text().splitlines()[int(number) - 1]
        assert line.startswith(f"{setting['name']} = "), setting
        read += 1
    assert read > 20
    assert places["Runner.num_iterations"].startswith(
        str(gin_files["dqn"])
    )  # not the included one's
    assert places["DQNAgent.gamma"].startswith("dqn/cartpole.gin, line ")


def test_a_described_config_is_a_config(gin_files, cli, tmp_path):
    text = cli("describe", gin_files["dqn"]).out
    assert text.startswith("# DQN on CartPole, small enough for a test.\n")
    (tmp_path / "again.gin").write_text(text)
    found = [
        {setting["name"]: setting["value"] for setting in json.loads(shown.out)["settings"]}
        for shown in (
            cli("describe", gin_files["dqn"], "--json"),
            cli("describe", tmp_path / "again.gin", "--json"),
        )
    ]
    assert found[0] == found[1]


def test_scopes_and_macros_are_resolved(cli, tmp_path):
    (tmp_path / "own.gin").write_text(
        'include "random/atari.gin"\n'
        "import dopamine_lite.agents.reinforce_agent\n"
        "import dopamine_lite.networks.optimizers\n"
        "Runner.agent = @ReinforceAgent\n"
        "ReinforceAgent.baseline_optimizer = @baseline/Adam\n"
        "Adam.learning_rate = %rate\n"
        "baseline/Adam.epsilon = 1e-3\n"
        "rate = 0.25\n"
    )
    settings = json.loads(cli("describe", tmp_path / "own.gin", "--json").out)["settings"]
    found = {setting["name"]: setting for setting in settings}
    assert found["rate"]["value"] == "0.25" and found["rate"]["place"].endswith("line 8")
    assert found["baseline/Adam.epsilon"]["place"].endswith("line 7")
    assert found["baseline/Adam.learning_rate"]["value"] == "%rate"  # from around the scope
    assert found["baseline/Adam.learning_rate"]["place"].endswith("line 6")
    assert found["Adam.epsilon"]["place"] is None
