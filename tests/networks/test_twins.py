"""Acting computes what is learned, whatever class of torso, head or policy a user brings."""

from __future__ import annotations

import functools
from typing import Any

import gymnasium
import keras
import numpy as np
import pytest
import tensorflow as tf

from dopamine_lite.acting.inference import Inference
from dopamine_lite.agents.dqn_agent import DQNAgent
from dopamine_lite.common.errors import UserError
from dopamine_lite.common.seeding import Seeds
from dopamine_lite.environments.environment import EnvironmentSpec
from dopamine_lite.networks.actor_critic import ActorCriticHead, TwinTorso
from dopamine_lite.networks.export import keras_model
from dopamine_lite.networks.heads import CategoricalHead, ImplicitQuantileHead, QHead, QuantileHead
from dopamine_lite.networks.network import Network
from dopamine_lite.networks.policies import GaussianPolicy, policy_for
from dopamine_lite.networks.torsos import MLP, MinAtarCNN
from dopamine_lite.networks.twins import agree, example_observations, telling_parameters

NUMBERS = gymnasium.spaces.Box(-np.inf, np.inf, (4,), np.float32)
SMALL = functools.partial(MLP, hidden_units=(5,))


class OtherLayers(MLP):
    """With a layer that MLP has not."""

    def __init__(self, seeds: Seeds):
        super().__init__(seeds, (5,))
        self.layers = keras.Sequential([*self.layers.layers, keras.layers.Activation("tanh")])


class OtherPreparation(MLP):
    def __init__(self, seeds: Seeds):
        super().__init__(seeds, (5,))

    @staticmethod
    def prepare(observations: tf.Tensor) -> tf.Tensor:
        return 2 * MLP.prepare(observations)


class OtherPicture(MinAtarCNN):
    def prepare(self, observations: tf.Tensor) -> tf.Tensor:
        return super().prepare(observations) / 255.0


class Grandchild(OtherPreparation):
    pass


class OtherHead(QHead):
    def __call__(self, features: tf.Tensor, seed: tf.Tensor | None = None) -> tf.Tensor:
        return 2 * super().__call__(features, seed)


class OtherValues(CategoricalHead):
    """Acts by the worst of its atoms that is at all likely, say."""

    def values(self, outputs: tf.Tensor) -> tf.Tensor:
        return -super().values(outputs)


class OwnHead:
    """No class of ours, and no `call_numpy`."""

    random_in_training = random_in_evaluation = False

    def __init__(self, seeds: Seeds, num_actions: int):
        self._layer = keras.layers.Dense(num_actions)
        self.layers = [self._layer]

    def __call__(self, features: tf.Tensor, seed: tf.Tensor | None = None) -> tf.Tensor:
        return self._layer(features)

    @staticmethod
    def values(outputs: tf.Tensor) -> tf.Tensor:
        return outputs


class OtherPolicy(GaussianPolicy):
    def __call__(self, features: tf.Tensor) -> tf.Tensor:
        return tf.tanh(super().__call__(features))


def network(torso: Any = SMALL, head: Any = QHead, space: gymnasium.Space = NUMBERS) -> Network:
    return Network(torso(Seeds(0)), head(Seeds(1), 3), space)


def policy_network(torso: Any, policy: Any = None, shared: bool = False) -> Network:
    box = gymnasium.spaces.Box(-1, 1, (2,), np.float32)
    policy = policy(Seeds(1), box) if policy else policy_for(Seeds(1), box, "PPOAgent")
    body = torso(Seeds(0)) if shared else TwinTorso(Seeds(0), torso)
    return Network(body, ActorCriticHead(Seeds(2), policy, twin=not shared), NUMBERS)


def learned(net: Network, observations: np.ndarray) -> np.ndarray:
    return net.head.values(net(net.prepare(tf.constant(observations)))).numpy()


PICTURES = gymnasium.spaces.Box(0, 255, (10, 10, 3), np.uint8)
WITHOUT_A_TWIN = {
    "layers": lambda: network(OtherLayers),
    "preparation": lambda: network(OtherPreparation),
    "preparation of states": lambda: network(OtherPreparation, space=gymnasium.spaces.Discrete(4)),
    "preparation of pictures": lambda: network(OtherPicture, space=PICTURES),
    "grandchild": lambda: network(Grandchild),
    "head": lambda: network(head=OtherHead),
    "values": lambda: network(head=OtherValues),
    "own head": lambda: network(head=OwnHead),
    "policy": lambda: policy_network(SMALL, OtherPolicy, shared=True),
    "two torsos": lambda: policy_network(OtherPreparation),
}


@pytest.mark.parametrize("name", WITHOUT_A_TWIN)
def test_a_class_that_brings_no_twin_acts_by_what_it_learns(name):
    """Often wrong: a subclass acts by a method that it inherited and learns by one of its own."""
    net = WITHOUT_A_TWIN[name]()
    actor = Inference(net)
    observations = example_observations(net.observation_space, 5)
    assert actor.kind == "TensorFlow"
    np.testing.assert_allclose(
        actor(observations), learned(net, observations), rtol=1e-4, atol=1e-5
    )


class OwnTwin(OtherPreparation):
    def call_numpy(self, observations: np.ndarray, weights: Any) -> np.ndarray:
        return super().call_numpy(2 * observations, weights)


WITH_A_TWIN = {
    "own": lambda: network(OwnTwin),
    "noisy": lambda: network(head=functools.partial(QHead, noisy=True, dueling=True)),
    "categorical": lambda: network(head=CategoricalHead),
    "quantiles": lambda: network(head=QuantileHead),
    "states": lambda: network(space=gymnasium.spaces.Discrete(4, start=-1)),
    "pictures": lambda: network(functools.partial(MinAtarCNN, hidden_units=5), space=PICTURES),
    "policy": lambda: policy_network(SMALL),
}


@pytest.mark.parametrize("name", WITH_A_TWIN)
def test_a_class_that_brings_its_own_acts_in_numpy(name):
    net = WITH_A_TWIN[name]()
    before = net.flat_parameters().numpy()
    actor = Inference(net)
    observations = example_observations(net.observation_space, 5)
    assert actor.kind == "NumPy"
    np.testing.assert_allclose(
        actor(observations), learned(net, observations), rtol=1e-4, atol=1e-4
    )
    np.testing.assert_array_equal(net.flat_parameters(), before)  # as the comparison found them


def test_drawn_outputs_are_not_compared():
    assert Inference(network(head=ImplicitQuantileHead)).kind == "NumPy"


class WithoutBias(MLP):
    def call_numpy(self, observations: np.ndarray, weights: Any) -> np.ndarray:
        return super().call_numpy(observations, [weights[0], 0 * weights[1]])


class OtherShape(MLP):
    def call_numpy(self, observations: np.ndarray, weights: Any) -> np.ndarray:
        return super().call_numpy(observations, weights)[:, :1]


class WrongHead(QHead):
    def call_numpy(self, features: Any, weights: Any, generator: Any) -> np.ndarray:
        return -super().call_numpy(features, weights, generator)


class Different(MLP):
    """Every one made of it doubles as often as it was made before."""

    number = 0

    def __init__(self, seeds: Seeds):
        super().__init__(seeds, (5,))
        self.factor, Different.number = 1 + Different.number % 2, Different.number + 1
        self.layers = keras.Sequential(
            [*self.layers.layers, keras.layers.Rescaling(float(self.factor))]
        )

    def call_numpy(self, observations: np.ndarray, weights: Any) -> np.ndarray:
        return self.factor * super().call_numpy(observations, weights)


def altered(seeds: Seeds) -> MLP:
    torso = MLP(seeds, (5,))
    torso.layers = keras.Sequential([*torso.layers.layers, keras.layers.Activation("tanh")])
    return torso


@pytest.mark.parametrize(
    ("build", "name"),
    [
        (lambda: network(functools.partial(WithoutBias, hidden_units=(5,))), "WithoutBias"),
        (lambda: network(functools.partial(OtherShape, hidden_units=(5,))), "OtherShape"),
        (lambda: network(altered), "MLP"),
        (lambda: policy_network(altered), "MLP"),
        (lambda: network(head=WrongHead), "WrongHead"),
    ],
)
def test_a_wrong_twin_is_refused(build, name):
    """Biases are zero at first: a twin that forgets them is found all the same."""
    with pytest.raises(UserError, match=f"^{name}.call_numpy, which chooses the actions, does not"):
        Inference(build())


def test_each_of_two_torsos_has_its_own_twin():
    net = policy_network(Different)
    actor = Inference(net)
    observations = example_observations(NUMBERS, 5)
    assert actor.kind == "NumPy"
    np.testing.assert_allclose(
        actor(observations), learned(net, observations), rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("torso", [OtherPreparation, functools.partial(MinAtarCNN, hidden_units=5)])
@pytest.mark.parametrize("head", [QHead, OtherHead])
def test_a_keras_model_computes_what_was_learned_or_is_refused(torso, head):
    """Often wrong: a subclass is exported as if it were its parent."""
    pictures = torso is not OtherPreparation
    net = network(torso, head, PICTURES if pictures else NUMBERS)
    if pictures and head is QHead:
        observations = example_observations(PICTURES, 5)
        outputs = keras_model(net)(tf.constant(observations))
        np.testing.assert_allclose(outputs, learned(net, observations), rtol=1e-4, atol=1e-4)
        return
    with pytest.raises(
        UserError, match="does not compute the same numbers as its layers do in Keras alone"
    ):
        keras_model(net)


class Unprepared:
    """A user's torso that says nothing of Keras."""

    compile_update = True

    def __init__(self, seeds):
        self.layers = keras.Sequential([keras.layers.Dense(5)])

    def prepare(self, observations):
        return observations


class OfOneLayer(Unprepared):
    """One whose layers are a single one of Keras's own."""

    def __init__(self, seeds):
        self.layers = keras.layers.Dense(5)

    def preparation_layers(self):
        return []


class OwnLayer(keras.layers.Layer):
    def call(self, inputs):
        return inputs


class OfAnOwnLayer(OfOneLayer):
    def __init__(self, seeds):
        self.layers = keras.Sequential([keras.layers.Dense(5), OwnLayer()])


@pytest.mark.parametrize(
    ("torso", "head", "sentence"),
    [
        (
            Unprepared,
            QHead,
            "^A Unprepared has no `preparation_layers`, which a Keras model needs: add this method",
        ),
        (
            OfAnOwnLayer,
            QHead,
            "^A OfAnOwnLayer has a layer of the class OwnLayer, which is not one",
        ),
        (
            functools.partial(MLP, hidden_units=(5,)),
            functools.partial(QHead, dueling=True, hidden_units=4),
            "^A QHead with dueling and hidden_units is more than the single Dense layer",
        ),
    ],
)
def test_what_a_keras_model_lacks_is_named(torso, head, sentence):
    with pytest.raises(UserError, match=sentence) as refused:
        keras_model(network(torso, head))
    assert str(refused.value).endswith("Or export it with `format` savedmodel.")


def test_a_torso_of_one_layer_is_a_keras_model():
    net = network(OfOneLayer)
    observations = example_observations(NUMBERS, 5)
    found = keras_model(net)(tf.constant(observations))
    np.testing.assert_allclose(found, learned(net, observations), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("space", "low", "high"),
    [
        (NUMBERS, -3, 3),
        (gymnasium.spaces.Box(-3.4e38, 3.4e38, (4,), np.float32), -3, 3),
        (gymnasium.spaces.Box(0.5, 1, (4,), np.float64), 0.5, 1),
        (gymnasium.spaces.Box(100, 110, (4,), np.float32), 3, 3),
        (PICTURES, 0, 255),
        (gymnasium.spaces.Box(0, 1, (9,), bool), 0, 1),
        (gymnasium.spaces.Box(-(2**62), 2**62, (9,), np.int64), -255, 255),
        (gymnasium.spaces.Discrete(5, start=-2), -2, 2),
        (gymnasium.spaces.MultiDiscrete([2, 5]), 0, 4),
    ],
)
def test_examples_are_of_the_space_and_always_the_same(space, low, high):
    drawn = example_observations(space, 50)
    assert drawn.shape == (50, *space.shape) and drawn.dtype == space.dtype
    assert low <= drawn.min() and drawn.max() <= high
    assert drawn.max() > drawn.min() or low == high
    np.testing.assert_array_equal(example_observations(space, 50), drawn)


def test_parameters_that_tell_nothing_are_replaced_for_a_while():
    zeros, drawn = tf.Variable([0.0, 0.0]), tf.Variable([1.0, 2.0])
    with pytest.raises(ZeroDivisionError), telling_parameters([zeros, drawn]):
        assert (zeros.numpy() != 0).all()
        np.testing.assert_array_equal(drawn, [1, 2])
        raise ZeroDivisionError
    np.testing.assert_array_equal(zeros, [0, 0])


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ([[1.0, 100.0], [0.5, 100.0]], True),
        ([[1.0005, 100.05], [0.5005, 100.0]], True),  # rounding
        ([[1.0, 100.0], [0.52, 100.0]], False),  # a small column counts by itself
        ([[1.0, np.nan], [0.5, 100.0]], False),
        ([[1.0, 100.0]], False),
    ],
)
def test_outputs_agree_but_for_rounding(found, expected):
    assert agree(np.array([[1.0, 100.0], [0.5, 100.0]]), np.array(found)) == expected


class Calling(MLP):
    """Computes in a method that nothing calls."""

    def __init__(self, seeds: Seeds):
        super().__init__(seeds, (5,))

    def call(self, observations: tf.Tensor) -> tf.Tensor:
        return 2 * self.layers(observations)


class Untrained(MLP):
    def __init__(self, seeds: Seeds):
        super().__init__(seeds, (5,))
        fixed = keras.layers.Dense(6, trainable=False, name="fixed")
        self.layers = keras.Sequential([fixed, *self.layers.layers])


class Rows(MLP):
    def __init__(self, seeds: Seeds):
        super().__init__(seeds, (6,))
        self.layers = keras.Sequential([*self.layers.layers, keras.layers.Reshape((2, 3))])


class Layerless(MLP):
    def __init__(self, seeds: Seeds):
        super().__init__(seeds, (6,))
        self.layers = None


WRONG_TORSOS = {
    Layerless: "Layerless.layers is a NoneType: make it a single Keras layer",
    Calling: "Calling.call would never be called",
    Untrained: "Untrained has .*fixed.*, which is not trained",
    Rows: r"Rows make features of shape \('B', 2, 3\)",
}


@pytest.mark.parametrize(("torso", "sentence"), WRONG_TORSOS.items())
def test_a_torso_that_would_do_something_else_is_refused(torso, sentence):
    with pytest.raises(UserError, match=sentence):
        network(torso)


def test_initial_parameters_come_from_the_seeds():
    class Unseeded(MLP):
        def __init__(self, seeds: Seeds):
            super().__init__(seeds, (5,))
            self.layers = keras.Sequential([keras.layers.Dense(5)])

    box, actions = gymnasium.spaces.Box(-1, 1, (4,), np.float32), gymnasium.spaces.Discrete(2)
    with pytest.raises(UserError, match="Unseeded or QHead begins with different numbers"):
        DQNAgent(EnvironmentSpec("Own", box, actions, 1), Seeds(0), torso=Unseeded)


def drawing(head: Any, way: str) -> Any:
    """`head` with a twin that is wrong in one `way`."""

    class Wrong(head):  # type: ignore[misc, valid-type]
        def call_numpy(self, features, weights, generator):
            right = head.call_numpy(self, features, weights, generator)
            if generator is None or way == "right":
                return right
            mean = np.mean(
                [head.call_numpy(self, features, weights, generator) for _ in range(64)], 0
            )
            return {"sign": -right, "mean": right + 0.5 * np.abs(right).max(), "mute": mean}[way]

    return functools.partial(Wrong, **({"noisy": True} if head is QHead else {}))


@pytest.mark.parametrize("way", ["sign", "mean", "mute", "right"])
@pytest.mark.parametrize("head", [QHead, ImplicitQuantileHead])
def test_what_a_twin_draws_is_distributed_alike(head, way):
    net = network(head=drawing(head, way))
    if way == "right":
        assert Inference(net).kind == "NumPy"
    else:
        with pytest.raises(UserError, match="Wrong.call_numpy, which chooses the actions"):
            Inference(net)


def test_twins_are_compared_on_large_numbers_too():
    class Bounded(MLP):
        def __init__(self, seeds: Seeds):
            super().__init__(seeds, (5,))
            self.layers = keras.Sequential([*self.layers.layers, keras.layers.Activation("relu6")])

        def call_numpy(self, observations: np.ndarray, weights: Any) -> np.ndarray:
            return super().call_numpy(observations, weights)

    with pytest.raises(UserError, match=r"Bounded\.call_numpy"):
        Inference(network(Bounded))
