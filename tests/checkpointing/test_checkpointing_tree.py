"""State trees come back from a checkpoint as they were, bit for bit and type for type."""

from __future__ import annotations

import json
import math
import string
import struct
import tempfile
from enum import IntEnum
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from dopamine_lite.checkpointing import Checkpointer, digest
from dopamine_lite.checkpointing.tree import decode, take_apart
from dopamine_lite.common.seeding import Seeds, generator_state, restore_generator

IN_MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None  # where syncing costs nothing


def same(a: Any, b: Any) -> bool:
    """Whether two trees are equal in structure, types and bits."""
    if type(a) is not type(b):
        return False
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, np.ndarray | np.generic):
        return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    if isinstance(a, float):
        return struct.pack(">d", a) == struct.pack(">d", b)
    return a == b


def through_json(tree: Any) -> Any:
    parts = take_apart(tree)
    text = json.dumps(parts.tree, allow_nan=False)
    return decode(json.loads(text), parts.arrays.__getitem__, parts.rings.__getitem__)


dtypes = st.one_of(
    hnp.boolean_dtypes(),
    hnp.integer_dtypes(endianness="?"),
    hnp.unsigned_integer_dtypes(endianness="?"),
    hnp.floating_dtypes(endianness="?", sizes=(16, 32, 64)),
    hnp.complex_number_dtypes(endianness="?", sizes=(64, 128)),
)
arrays = hnp.arrays(
    dtypes | hnp.byte_string_dtypes() | hnp.unicode_string_dtypes(),
    hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3),
)
scalars = dtypes.flatmap(hnp.from_dtype).filter(lambda value: isinstance(value, np.generic))
leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-(2**200), 2**200),
    st.floats(),
    st.text(),
    arrays,
    scalars,
)
keys = st.text() | st.text(alphabet="$" + string.ascii_lowercase, max_size=6)
trees = st.recursive(
    leaves,
    lambda children: (
        st.lists(children, max_size=4)
        | st.lists(children, max_size=4).map(tuple)
        | st.dictionaries(keys, children, max_size=4)
    ),
    max_leaves=12,
)


@settings(deadline=None, max_examples=300)
@given(trees)
def test_any_tree_comes_back(tree):
    back = through_json(tree)
    assert same(back, tree)
    assert digest(back) == digest(tree)


@settings(deadline=None, max_examples=40)
@given(trees)
def test_any_tree_comes_back_from_the_disk(tree):
    with tempfile.TemporaryDirectory(dir=IN_MEMORY) as directory:
        checkpointer = Checkpointer(Path(directory))
        checkpointer.save(7, {"tree": tree})
        restored = checkpointer.restore()
        checkpointer.close()
    assert same(restored.state, {"tree": tree})


@pytest.mark.parametrize(
    "value",
    [
        2**63 - 1,
        2**63,
        -(2**63),
        pytest.param(10**5000, id="more digits than Python turns into text"),
        math.nan,
        -math.nan,
        struct.unpack(">d", bytes.fromhex("7ff8000000000123"))[0],  # NaN with a payload
        math.inf,
        -math.inf,
        -0.0,
        5e-324,
        0.1,
        {},
        {"": ()},
        {"$array": 0},
        {"$tuple": [], "$$": 1},
        {"$$array": {"$ring": "state"}},
        "line\nbreak \x00 \u2028 🎮",
        np.float32(0.1),
        np.bool_(True),
        np.array(3.5, np.float16),
        np.zeros((0, 3), np.int8),
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    ],
)
def test_a_value_comes_back(value):
    assert same(through_json(value), value)


def test_the_memory_layout_of_an_array_comes_back(tmp_path):
    array = np.asfortranarray(np.arange(6.0).reshape(2, 3))  # sums in another order than C
    Checkpointer(tmp_path).save(1, {"array": array})
    back = Checkpointer(tmp_path).load().state["array"]
    assert back.flags.f_contiguous and (back == array).all()


@pytest.mark.parametrize("kind", [np.random.PCG64, np.random.MT19937, np.random.Philox])
def test_a_generator_goes_on_where_it_was(tmp_path, kind):
    generator = np.random.Generator(kind(3))
    generator.standard_normal(5)
    generator.integers(100, dtype=np.uint32)  # leaves half of a 64-bit draw behind
    checkpointer = Checkpointer(tmp_path)
    checkpointer.save(1, {"generator": generator_state(generator)})
    other = np.random.Generator(kind(4))
    restore_generator(other, checkpointer.restore().state["generator"])
    assert (other.integers(2**32, size=9) == generator.integers(2**32, size=9)).all()


def test_128_bit_generator_state_is_exact():
    state = generator_state(Seeds(1).generator("actions"))
    assert state["state"]["state"] > 2**100
    assert same(through_json(state), state)


class Color(IntEnum):
    RED = 1


class Pair(NamedTuple):
    a: int
    b: int


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (np.array([None]), "dtype object"),
        (np.zeros(2, [("x", "f4")]), "numpy.ndarray"),
        (np.zeros(2, np.longdouble), "numpy.ndarray"),
        (np.ma.array([1, 2], mask=[0, 1]), "MaskedArray"),
        (np.array("2020-01-01", "M8[D]"), "datetime64"),
        (np.str_("text"), "numpy.str_"),
        ({1, 2}, "builtins.set"),
        (b"bytes", "builtins.bytes"),
        (1j, "builtins.complex"),
        (Color.RED, "Color"),  # would come back as a plain int
        (Pair(1, 2), "Pair"),
        (len, "builtin_function_or_method"),
    ],
)
def test_what_cannot_be_saved_is_named_with_its_place(tmp_path, value, name):
    state = {"agent": {"layers": [0, {"odd one": value}]}}
    with pytest.raises(TypeError) as caught:
        Checkpointer(tmp_path).save(1, state)
    assert "state['agent']['layers'][1]['odd one'] " in str(caught.value)
    assert name in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]


@pytest.mark.parametrize("key", [1, None, ("a", "b"), b"k", np.str_("k")])
def test_keys_are_strings(key):
    with pytest.raises(TypeError, match=r"state\['a'\] has the key "):
        take_apart({"a": {key: 1}})


@pytest.mark.parametrize("state", [{"\ud800": 1}, {"a": "\ud83d\ude00"}])
def test_strings_are_unicode(state):
    with pytest.raises(TypeError, match="not Unicode"):
        take_apart(state)


def test_an_unknown_tag_is_refused():
    with pytest.raises(ValueError, match=r"unknown tag \$pickle"):
        decode({"$pickle": "..."}, list, list)


def test_nothing_is_unpickled(tmp_path):
    path = Checkpointer(tmp_path).save(1, {"a": np.arange(3)})
    with np.load(path / "state.npz", allow_pickle=False) as arrays:
        assert (arrays["0"] == np.arange(3)).all()
    assert {file.name for file in path.iterdir()} == {"manifest.json", "state.json", "state.npz"}


def test_digest_tells_apart_what_differs():
    ones = [1, 1.0, True, "1", [1], (1,), {"a": 1}, {"$a": 1}, np.int64(1), np.int32(1)]
    ones += [np.float64(1), np.array(1), np.array([1]), np.array([[1]]), np.array([1], ">i8")]
    ones += [0.0, -0.0, math.nan, -math.nan, None, "", [], (), {}, 2**70, -(2**70)]
    assert len({digest(one) for one in ones}) == len(ones)


def test_digest_ignores_what_does_not_matter():
    array = np.arange(6.0).reshape(2, 3)
    one = {"a": 1, "b": {"c": array, "d": 2}}
    other = {"b": {"d": 2, "c": np.asfortranarray(array)}, "a": 1}
    assert digest(one) == digest(other)
    assert digest({"a": array[:, ::2]}) == digest({"a": array[:, ::2].copy()})


def test_digest_is_the_same_in_every_version():
    state = {"step": 3, "w": np.arange(4, dtype="<f4"), "t": (None, 0.5, np.int64(-1))}
    assert digest(state) == "6abce16599269ecc9ff0f1c030057be80e38cac5b6c09698ea5e17e8536ec9bf"
