"""What networks read: pictures in every layout, bytes, names, entries; the same by every way."""

from __future__ import annotations

import functools
from typing import Any

import gymnasium
import numpy as np
import pytest
import tensorflow as tf

from dopamine_lite.acting.inference import CompiledNetwork, NumpyNetwork
from dopamine_lite.common.errors import UserError
from dopamine_lite.common.seeding import Seeds
from dopamine_lite.networks.actor_critic import ActorCriticHead, TwinTorso
from dopamine_lite.networks.export import keras_model
from dopamine_lite.networks.heads import QHead
from dopamine_lite.networks.network import Network
from dopamine_lite.networks.policies import policy_for
from dopamine_lite.networks.torsos import MLP, DictTorso, ImpalaCNN, MinAtarCNN, NatureCNN, SmallCNN
from dopamine_lite.spaces.packed_space import PackedSpace, stacked
from dopamine_lite.spaces.pictures import channel_axis
from tests.core import core

spaces = gymnasium.spaces


def pictures(*shape: int, high: int = 255, dtype: Any = np.uint8) -> spaces.Box:
    return spaces.Box(0, high, shape, dtype)


def network(torso: Any, space: gymnasium.Space, stack_size: int = 1) -> Network:
    return Network(torso(Seeds(0)), QHead(Seeds(1), 3), space, stack_size)


def numbered(*shape: int) -> np.ndarray:
    """A batch of one observation, all of whose entries differ."""
    return np.arange(np.prod(shape)).astype(np.uint8).reshape(1, *shape)


@pytest.mark.parametrize(
    ("shape", "stack_size", "moved"),
    [
        ((5, 7), 1, lambda x: x[..., None]),
        ((5, 7, 3), 1, lambda x: x),
        ((3, 5, 7), 1, lambda x: x.transpose(0, 2, 3, 1)),
        ((1, 5, 7), 1, lambda x: x.transpose(0, 2, 3, 1)),  # Atari's single frames
        ((4, 5, 7), 4, lambda x: x.transpose(0, 2, 3, 1)),
        ((9, 5, 7), 9, lambda x: x.transpose(0, 2, 3, 1)),  # a stack longer than wide
        ((2, 5, 7, 3), 2, lambda x: np.concatenate([x[:, 0], x[:, 1]], axis=-1)),
        ((2, 3, 5, 7), 2, lambda x: x.reshape(1, 6, 5, 7).transpose(0, 2, 3, 1)),
    ],
)
@pytest.mark.parametrize("torso", core([SmallCNN, ImpalaCNN], SmallCNN))
def test_rows_and_columns_come_first_and_the_channels_of_all_frames_last(
    torso, shape, stack_size, moved
):
    """Often wrong: [H, W, C] read as a stack of H frames of W x C."""
    observations = numbered(*shape)
    built = network(torso, pictures(*shape), stack_size)
    expected = moved(observations).astype(np.float32) / 255
    assert built.prepared_shape == expected.shape[1:]
    np.testing.assert_allclose(built.prepare(tf.constant(observations)), expected, rtol=1e-6)


def test_a_binding_says_where_the_channels_are_if_the_shape_does_not():
    for torso in (NatureCNN, SmallCNN, ImpalaCNN):
        with pytest.raises(
            UserError, match=rf'{torso.__name__} .*\(40, 50, 9\).*channels = "last"'
        ):
            network(torso, pictures(40, 50, 9))
        for channels, shape in (("last", (41, 51, 9)), ("first", (51, 9, 41))):
            if torso is NatureCNN and channels == "first":
                continue  # 9 columns are too few
            built = network(functools.partial(torso, channels=channels), pictures(41, 51, 9))
            assert built.prepared_shape == shape
    with pytest.raises(UserError, match="SmallCNN.channels is 'middle': choose"):
        SmallCNN(Seeds(0), channels="middle")


@pytest.mark.parametrize(
    ("shape", "axis"), [((3, 64, 64), 0), ((64, 64, 4), 2), ((3, 64, 3), None), ((9, 9, 9), None)]
)
def test_the_channels_are_the_axis_that_is_short(shape, axis):
    assert channel_axis(shape) == axis


@pytest.mark.parametrize(
    ("torso", "space", "sentence"),
    [
        (
            NatureCNN,
            pictures(35, 64, 3),
            "NatureCNN needs pictures of 36 x 36 .* are 35 x 64: .*SmallCNN",
        ),
        (SmallCNN, pictures(4, 9), "SmallCNN needs pictures of 5 x 5"),
        (
            MinAtarCNN,
            pictures(3, 10, 10),
            "MinAtarCNN reads pictures .height, width, channels., but",
        ),
        (ImpalaCNN, spaces.Box(0, 1, (4,)), "ImpalaCNN reads pictures, .* Box.*: bind .*@MLP"),
        (NatureCNN, spaces.Discrete(4), "NatureCNN reads pictures, .* Discrete"),
        (DictTorso, spaces.Box(0, 1, (4,)), "DictTorso reads dictionaries and tuples, but .* Box"),
    ],
)
def test_what_a_torso_cannot_read_is_refused(torso, space, sentence):
    arguments = {"torsos": {"a": MLP}} if torso is DictTorso else {}
    with pytest.raises(UserError, match=sentence):
        network(functools.partial(torso, **arguments), space)


def test_the_smallest_pictures_that_are_read():
    assert network(NatureCNN, pictures(36, 36, 3)).num_parameters > 0
    assert network(SmallCNN, pictures(5, 5, 3)).num_parameters > 0
    assert network(MinAtarCNN, pictures(10, 10, 10, high=1)).prepared_shape == (10, 10, 10)


@pytest.mark.parametrize(
    ("torso", "way"),
    [
        *((torso, "compiled") for torso in (MLP, MinAtarCNN, SmallCNN, NatureCNN, ImpalaCNN)),
        *((torso, "NumPy") for torso in (MLP, MinAtarCNN)),
        *((torso, "Keras") for torso in (MLP, MinAtarCNN, SmallCNN, NatureCNN)),
    ],
)
def test_every_torso_reads_bytes_as_fractions(torso, way):
    """Often wrong: 0 to 255 into layers that are initialized for numbers around 1."""
    shape = (36, 36, 1)
    as_bytes, as_numbers = (
        network(torso, pictures(*shape, dtype=d)) for d in (np.uint8, np.float32)
    )
    observations = np.random.default_rng(0).integers(0, 256, (2, *shape), dtype=np.uint8)
    expected = as_numbers(as_numbers.prepare(tf.constant(observations / np.float32(255))))
    if way == "compiled":
        found = CompiledNetwork(as_bytes)(observations, None)
    elif way == "NumPy":
        in_numpy = NumpyNetwork(as_bytes)
        in_numpy.load(as_bytes.flat_parameters().numpy())
        found = in_numpy(observations)
    else:
        found = keras_model(as_bytes)(observations)
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("torso", [MLP, MinAtarCNN, SmallCNN])
@pytest.mark.parametrize(
    ("space", "divisor"),
    [
        (pictures(7, 7, 1, high=1), 1),  # MinAtar's, or Binarise's
        (pictures(7, 7, 1, high=100), 1),
        (spaces.Box(-255, 255, (7, 7, 1), np.int16), 255),  # DifferenceFrame's, of bytes
        (spaces.Box(-1, 1, (7, 7, 1), np.int16), 1),
        (spaces.Box(0, 255, (7, 7, 1), np.float32), 1),
    ],
)
def test_nothing_else_is_scaled(torso, space, divisor):
    built = network(torso, space)
    observations = np.ones((1, 7, 7, 1), space.dtype)
    expected = np.full(built.prepared_shape, np.float32(1) / np.float32(divisor))
    np.testing.assert_array_equal(built.prepare(tf.constant(observations))[0], expected)


NAMES = {
    "one": (spaces.Discrete(3, start=-1), [[-1], [1]], [[1, 0, 0], [0, 0, 1]]),
    "several": (
        spaces.MultiDiscrete([2, 3], start=[0, 5]),
        [[0, 6], [1, 7]],
        [[1, 0, 0, 1, 0], [0, 1, 0, 0, 1]],
    ),
    "in rows": (
        spaces.MultiDiscrete([[2, 2], [1, 3]]),
        [[[0, 1], [0, 2]], [[1, 0], [0, 0]]],
        [[1, 0, 0, 1, 1, 0, 0, 1], [0, 1, 1, 0, 1, 1, 0, 0]],
    ),
    "no names": (spaces.MultiBinary(3), [[0, 1, 1], [1, 0, 0]], [[0, 1, 1], [1, 0, 0]]),
}


@pytest.mark.parametrize("kind", NAMES)
def test_names_are_one_hot_vectors(kind):
    """Often wrong: the number of a name read as a quantity."""
    space, given, expected = NAMES[kind]
    observations = np.array(given, space.dtype).reshape(2, *space.shape)
    built = network(MLP, space)
    prepared = tf.function(built.prepare, jit_compile=True)(tf.constant(observations))
    np.testing.assert_array_equal(prepared, np.array(expected, np.float32))
    np.testing.assert_array_equal(built.reader.call_numpy(observations), prepared)
    in_numpy = NumpyNetwork(built)
    in_numpy.load(built.flat_parameters().numpy())
    np.testing.assert_allclose(in_numpy(observations), built(prepared), rtol=1e-5, atol=1e-6)


DICTIONARY = spaces.Dict(
    {
        "picture": pictures(7, 5, 3),
        "speed": spaces.Box(-1, 1, (2,), np.float64),
        "gear": spaces.Discrete(4, start=-1),
        "lamps": spaces.Tuple(
            [
                spaces.MultiBinary(3),
                spaces.Box(0, 1, (2,), bool),
                spaces.MultiDiscrete([2, 3]),
                spaces.Box(-5, 5, (2,), np.int16),
            ]
        ),
    }
)
PACKED = PackedSpace.of(DICTIONARY, "Truck-v0")


def drawn(number: int = 3) -> tuple[list[dict[str, Any]], np.ndarray]:
    DICTIONARY.seed(0)
    observations = [DICTIONARY.sample() for _ in range(number)]
    return observations, np.array([PACKED.pack(one) for one in observations])


def read_by_hand(observation: dict[str, Any]) -> dict[str, np.ndarray]:
    lamps = observation["lamps"]
    return {
        "gear": np.eye(4)[observation["gear"] + 1],
        "lamps/0": lamps[0],
        "lamps/1": lamps[1],
        "lamps/2": np.concatenate([np.eye(2)[lamps[2][0]], np.eye(3)[lamps[2][1]]]),
        "lamps/3": lamps[3],
        "picture": observation["picture"] / 255,
        "speed": observation["speed"],
    }


def test_entries_are_read_each_as_its_space_says():
    observations, rows = drawn()
    assert rows.shape == (3, 8 + 3 + 2 + 16 + 4 + 105 + 8)
    built = network(MLP, PACKED)
    in_graph = tf.function(built.reader, jit_compile=True)(tf.constant(rows))
    for index, observation in enumerate(observations):
        for name, expected in read_by_hand(observation).items():
            np.testing.assert_allclose(in_graph[name][index], expected, rtol=1e-6)
            in_numpy = built.reader.call_numpy(rows)[name][index]
            np.testing.assert_allclose(in_numpy, expected, rtol=1e-6)
    np.testing.assert_allclose(
        built.prepare(tf.constant(rows))[0],
        np.concatenate([np.ravel(part) for part in read_by_hand(observations[0]).values()]),
        rtol=1e-6,
    )


def test_each_entry_goes_through_a_torso_of_its_own():
    _, rows = drawn()
    torsos = dict.fromkeys(PACKED.entries, functools.partial(MLP, hidden_units=(4,)))
    build = functools.partial(DictTorso, torsos=torsos | {"picture": SmallCNN}, hidden_units=8)
    built = network(build, PACKED)
    assert not NumpyNetwork.supports(built)
    entries = built.reader(tf.constant(rows))
    features = []
    for name, torso in built.torso._torsos.items():
        prepared = torso.prepare(entries[name])
        assert prepared.shape[1:] == ((7, 5, 3) if name == "picture" else prepared.shape[1:])
        features.append(torso.layers(prepared))
    joined = built.torso.layers.joint(tf.concat(features, axis=1))
    expected = built.head(joined)
    np.testing.assert_allclose(CompiledNetwork(built)(rows, None), expected, atol=1e-5)


@pytest.mark.parametrize("hidden_units", [0, 8])
def test_torsos_of_entries_are_the_same_in_numpy(hidden_units):
    _, rows = drawn()
    torsos = dict.fromkeys(PACKED.entries, functools.partial(MLP, hidden_units=(4,)))
    torsos["picture"] = functools.partial(MinAtarCNN, hidden_units=6)
    build = functools.partial(DictTorso, torsos=torsos, hidden_units=hidden_units)
    built = network(build, PACKED)
    for variable in built.variables:
        variable.assign(np.random.default_rng(0).normal(size=variable.shape) * 0.3)
    in_numpy = NumpyNetwork(built)
    in_numpy.load(built.flat_parameters().numpy())
    np.testing.assert_allclose(
        in_numpy(rows), CompiledNetwork(built)(rows, None), rtol=1e-4, atol=1e-4
    )


def test_stacks_of_entries_are_stacks_of_each():
    entries = {"picture": PACKED.entries["picture"], "speed": PACKED.entries["speed"]}
    space = PackedSpace(entries, "Truck-v0", stack_size=2)
    rows = np.array([space.sample(), space.sample()])
    built = network(
        functools.partial(DictTorso, torsos={"picture": SmallCNN, "speed": MLP}), space, 2
    )
    found = space.unpack(rows)
    assert found["picture"].shape == (2, 2, 7, 5, 3)
    side_by_side = np.concatenate([found["picture"][:, 0], found["picture"][:, 1]], axis=-1) / 255
    expected = [side_by_side.reshape(2, -1), found["speed"].reshape(2, -1)]
    prepared = tf.function(built.prepare, jit_compile=True)(tf.constant(rows))
    np.testing.assert_allclose(prepared, np.concatenate(expected, axis=1), rtol=1e-6)
    assert built(prepared).shape == (2, 3)


def test_policy_and_value_have_torsos_of_entries_each():
    _, rows = drawn()
    torsos = dict.fromkeys(PACKED.entries, functools.partial(MLP, hidden_units=(4,)))
    build = functools.partial(DictTorso, torsos=torsos | {"picture": SmallCNN}, hidden_units=8)
    policy = policy_for(Seeds(0), spaces.Discrete(3), "PPOAgent")
    head = ActorCriticHead(Seeds(0), policy, twin=True)
    built = Network(TwinTorso(Seeds(0), build), head, PACKED)
    assert CompiledNetwork(built)(rows, None).shape == (3, 4)


def test_torsos_for_other_entries_are_refused():
    with pytest.raises(
        UserError, match="DictTorso.torsos has picture, but the entries .* gear, lamps/0"
    ):
        network(functools.partial(DictTorso, torsos={"picture": SmallCNN}), PACKED)
    with pytest.raises(
        UserError, match="NatureCNN reads pictures, .*@DictTorso for several entries"
    ):
        network(NatureCNN, PACKED)


def test_a_packed_space_holds_what_was_packed():
    observations, rows = drawn()
    assert PACKED.contains(rows[0]) and PACKED.contains(PACKED.sample())
    unpacked = PACKED.unpack(rows)
    for index, one in enumerate(observations):
        assert unpacked["gear"][index] == one["gear"]
        np.testing.assert_array_equal(unpacked["lamps/3"][index], one["lamps"][3])
        np.testing.assert_array_equal(unpacked["picture"][index], one["picture"])
        np.testing.assert_array_equal(unpacked["speed"][index], one["speed"].astype(np.float32))
    outside = rows[0].copy()
    outside[PACKED.slices["gear"]] = np.array([9]).view(np.uint8)
    assert not PACKED.contains(outside)
    assert not PACKED.contains(rows[0].astype(np.int64))


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("gear", 0.5, "The entry 'gear' of an observation of Truck-v0 is array.0.5., .* Discrete"),
        ("gear", "third", "The entry 'gear' .* array.'third'.* is not in its space Discrete"),
        ("picture", np.full((7, 5, 3), -1), "The entry 'picture' .* is not in its space Box"),
        ("speed", np.zeros(3), "The entry 'speed' .* is not in its space Box"),
    ],
)
def test_what_is_not_in_an_entrys_space_is_refused(name, value, sentence):
    """Often wrong: fractions cut to whole numbers, -1 become 255."""
    (observation,), _ = drawn(1)
    with pytest.raises(UserError, match=sentence):
        PACKED.pack(observation | {name: value})


def test_entries_that_are_missing_or_no_arrays_are_refused():
    (observation,), _ = drawn(1)
    del observation["speed"]
    with pytest.raises(UserError, match="of Truck-v0 has the entries .* but its space has .*speed"):
        PACKED.pack(observation)
    with pytest.raises(
        UserError, match="The entry 'words' of X's observations is Text.*, which is not an array"
    ):
        PackedSpace.of(spaces.Dict({"words": spaces.Text(3)}), "X")


def test_a_stack_may_have_zeros():
    space = stacked(spaces.Box(2, 3, (2,), np.float32), 3)
    assert space == spaces.Box(0, 3, (3, 2), np.float32)
