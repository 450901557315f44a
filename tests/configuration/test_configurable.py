"""Classes whose constructors pass settings on: what is bound to them, and to the classes they extend."""

from __future__ import annotations

import gin
import pytest

from dopamine_lite import configuration
from dopamine_lite.common.errors import UserError
from dopamine_lite.configuration.configurable import configurable


@configurable
class Boiler:
    def __init__(self, *, liters: float = 1.5, color: str = "red"):
        self.liters, self.color = liters, color


@configurable
class TeaBoiler(Boiler):
    def __init__(self, *, taps: int = 1, **settings):
        super().__init__(**settings)
        self.taps = taps


@configurable
class UrnBoiler(TeaBoiler):
    """Has no constructor of its own."""


@gin.configurable
class PotBoiler(Boiler):
    """Neither has this, and gin's own decorator is all that it has."""


@gin.configurable
class OpenBoiler(Boiler):
    """Gin knows the settings that it passes on by the name of its base."""

    def __init__(self, **settings):
        super().__init__(**settings)


class UnnamedBoiler(Boiler):
    """Has no name that can be bound."""


@gin.configurable
class BoilerRoom:
    def __init__(self, boiler):
        self.boiler = boiler()


def boiler_room(boiler: str, *bindings: str) -> BoilerRoom:
    configuration.load([], [f"BoilerRoom.boiler = @{boiler}", *bindings])
    made = configuration.construct(BoilerRoom)
    configuration.reject_unused_bindings()
    return made


@pytest.mark.parametrize("boiler", ["TeaBoiler", "UrnBoiler", "PotBoiler"])
def test_a_part_has_its_settings_by_its_own_name_alone(boiler):
    """Often wrong: the base's binding is in force, and the part's default stands in the config."""
    with pytest.raises(
        UserError, match=rf"uses Boiler\.liters \(did you mean {boiler}\.liters\?\)"
    ):
        boiler_room(boiler, "Boiler.liters = 9.0")
    assert boiler_room(boiler, f"{boiler}.liters = 3.0").boiler.liters == 3.0
    text = configuration.operative()
    assert f"{boiler}.liters = 3.0" in text and f"{boiler}.color = 'red'" in text
    assert not any(line.startswith("Boiler.") for line in text.splitlines())


@pytest.mark.parametrize("boiler", ["Boiler", "TeaBoiler", "UrnBoiler", "PotBoiler", "OpenBoiler"])
def test_a_config_makes_the_same_part_again(boiler):
    """Often wrong: a run is trained with one value and evaluated with another."""
    first = boiler_room(boiler, f"{boiler}.liters = 3.0").boiler
    configuration.load([], configuration.operative().splitlines())
    again = configuration.construct(BoilerRoom).boiler
    configuration.reject_unused_bindings()
    assert (type(again), again.liters, again.color) == (type(first), 3.0, "red")


@pytest.mark.parametrize(
    ("boiler", "kind"), [("OpenBoiler", OpenBoiler), ("UnnamedBoiler", UnnamedBoiler)]
)
def test_without_settings_of_its_own_a_part_has_those_of_its_base(boiler, kind):
    configuration.load([], ["Boiler.liters = 9.0"])
    assert kind().liters == 9.0
    assert "Boiler.liters = 9.0" in configuration.operative()


def test_settings_that_are_passed_on_can_be_misspelled():
    with pytest.raises(
        UserError, match=r"UrnBoiler has no parameter litres .*\(did you mean liters\?\)"
    ):
        boiler_room("UrnBoiler", "UrnBoiler.litres = 3.0")


def test_a_part_may_leave_out_annotations():
    """Often wrong: "no annotation" is taken for the class of what the parameter takes."""
    from dopamine_lite.agents.dqn_agent import DQNAgent
    from dopamine_lite.networks.heads import QHead

    @configurable
    class ScaledHead(QHead):
        def __init__(self, seeds, num_actions, *, scale: float = 1.0):
            super().__init__(seeds, num_actions)

    configuration.load([], [f"{DQNAgent.__name__}.head = @ScaledHead"])
    with pytest.raises(UserError, match=r"ScaledHead\.scale is 'much': give a number"):
        configuration.load([], ["ScaledHead.scale = 'much'"])


def test_an_incomplete_class_is_told_what_it_lacks():
    from dopamine_lite.agents.block_agent import BlockAgent
    from dopamine_lite.runner.runner import Runner

    class Half(BlockAgent):
        def learn(self, block):
            pass

    configuration.load([], ['Runner.schedule = "continuous_train"'])
    with pytest.raises(UserError, match=r"^Half is not complete: define .*block_length.*get_state"):
        configuration.construct(
            Runner, "nowhere", agent=lambda spec, seeds: Half(), environment=_environment
        )


def _environment(**given):
    from dopamine_lite.environments.factory import create_environment

    return create_environment("CartPole-v1", **given)


def test_old_names_are_told_to_subclasses():
    """Often wrong: the nearest name today is another setting."""
    from dopamine_lite.agents.ppo_agent import PPOAgent

    @configurable
    class OwnPPO(PPOAgent):
        pass

    with pytest.raises(
        UserError, match=r"OwnPPO\.kl_target is now called OwnPPO\.adaptive_kl_target"
    ):
        configuration.load([], ["OwnPPO.kl_target = 0.01"])
