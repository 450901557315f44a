"""A state tree as JSON beside its arrays and rings, and back; and its digest.

In the JSON, a list is an array and a dict is an object. A value that JSON cannot express becomes an
object with a single key that begins with one `$`. A dict's own key that begins with `$` gets a second
`$`.

    {"$tuple": [...]}    {"$int": "-0x1f..."}    {"$float": "7ff8000000000000"}
    {"$scalar": ["<f4", "0000803f"]}    {"$array": where}    {"$ring": where}
"""

from __future__ import annotations

import hashlib
import json
import math
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from dopamine_lite.common.types import RingSlots
from dopamine_lite.files.strict_json import expect

# Booleans, integers, floats and complex numbers of fixed layout; strings in arrays.
_NUMBERS = frozenset("?bhilqBHILQefdFD")
PLAIN_DTYPES = _NUMBERS | frozenset("SU")  # of arrays, by `dtype.char`
_LARGEST_PLAIN_INT = 2**63 - 1


@dataclass(frozen=True)
class Parts:
    """A state taken apart. In `tree`, an index stands for each array, and a key for each ring."""

    tree: Any  # JSON
    arrays: list[np.ndarray]
    rings: dict[str, RingSlots]  # by path in the state


def take_apart(state: Any) -> Parts:
    """Sorts a state into parts, without copying arrays; raises TypeError as `encode` does."""
    arrays: list[np.ndarray] = []
    rings: dict[str, RingSlots] = {}

    def store_array(array: np.ndarray) -> int:
        arrays.append(array)
        return len(arrays) - 1

    def store_ring(path: str, ring: RingSlots) -> str:
        rings[path] = ring
        return path

    return Parts(encode(state, store_array, store_ring), arrays, rings)


def without_rings(state: Any) -> Any:
    """The tree with None for every ring, as for a load without replay."""
    if isinstance(state, dict):
        return {key: without_rings(child) for key, child in state.items()}
    if type(state) in (list, tuple):
        return type(state)(without_rings(child) for child in state)
    return None if isinstance(state, RingSlots) else state


def encode(
    value: Any,
    store_array: Callable[[np.ndarray], Any],
    store_ring: Callable[[str, RingSlots], Any],
    path: str = "state",
) -> Any:
    """Returns the JSON form of the tree `value`.

    Args:
      value: dicts with string keys, lists and tuples of NumPy arrays, NumPy and Python numbers,
        bools, strings, None and RingSlots.
      store_array: takes an array and returns the JSON that stands for it.
      store_ring: the same for a ring; it also takes the ring's path in the tree, which no other leaf
        has.
      path: the place of `value`, as a Python expression.

    Raises:
      TypeError: the tree holds something else, or something that would not come back as it was.
    """
    kind = type(value)
    if value is None or kind is bool:
        return value
    if kind is int:
        return value if abs(value) <= _LARGEST_PLAIN_INT else {"$int": hex(value)}
    if kind is float:
        return value if math.isfinite(value) else {"$float": struct.pack(">d", value).hex()}
    if kind is str:
        return _unicode(value, path)
    if kind is dict:
        return {
            _escape(key, path): encode(child, store_array, store_ring, f"{path}[{key!r}]")
            for key, child in value.items()
        }
    if kind is list or kind is tuple:
        children = [
            encode(child, store_array, store_ring, f"{path}[{index}]")
            for index, child in enumerate(value)
        ]
        return children if kind is list else {"$tuple": children}
    if kind is RingSlots:
        return {"$ring": store_ring(path, value)}
    if kind is np.ndarray and value.dtype.char in PLAIN_DTYPES:
        return {"$array": store_array(value)}
    if isinstance(value, np.generic) and value.dtype.char in _NUMBERS:
        return {"$scalar": [value.dtype.str, value.tobytes().hex()]}
    name = f"{kind.__module__}.{kind.__qualname__}"
    if isinstance(value, np.ndarray | np.generic):
        name += f" of dtype {value.dtype}"
    raise TypeError(f"{path} is a {name}, which a checkpoint cannot hold.")


def decode(
    value: Any, load_array: Callable[[Any], np.ndarray], load_ring: Callable[[Any], Any]
) -> Any:
    """Returns the tree whose JSON form is `value`: the inverse of `encode`.

    Raises:
      ValueError: `encode` does not write such JSON.
    """
    if isinstance(value, list):
        return [decode(child, load_array, load_ring) for child in value]
    if not isinstance(value, dict):
        return value
    tag = next(iter(value), "")
    if not _is_tag(tag):
        if any(map(_is_tag, value)):
            raise ValueError("a tag among the keys of a state tree")
        return {
            key.removeprefix("$"): decode(child, load_array, load_ring)
            for key, child in value.items()
        }
    if len(value) > 1:
        raise ValueError(f"keys beside the tag {tag} in a state tree")
    content = value[tag]
    match tag:
        case "$tuple":
            return tuple(decode(expect(list, content), load_array, load_ring))
        case "$int":
            return int(expect(str, content), 16)
        case "$float":
            return float(_scalar(">f8", content))
        case "$scalar":
            dtype, data = expect(list, content)
            return _scalar(expect(str, dtype), data)
        case "$array":
            return load_array(content)
        case "$ring":
            return load_ring(content)
    raise ValueError(f"unknown tag {tag} in a state tree")


def plain_dtype(name: Any) -> np.dtype:
    """The dtype of an array that a checkpoint can hold; raises ValueError for others."""
    try:
        dtype = np.dtype(expect(str, name))
    except (TypeError, SyntaxError) as error:
        raise ValueError(f"{name[:40]!r} is not a dtype") from error
    if dtype.char not in PLAIN_DTYPES:
        raise ValueError(f"arrays of {dtype} are not plain")
    return dtype


def digest(state: Any) -> str:
    """SHA-256 of a state tree: equal if and only if two states are the same bit for bit.

    The order of a dict's keys, an array's layout in memory and the blocks in which a ring is read
    make no difference. Takes what `Checkpointer.save` takes, and raises the same TypeError.
    """
    canonical = encode(state, _array_digest, lambda _, ring: _ring_digest(ring))
    return hashlib.sha256(json.dumps(canonical, sort_keys=True).encode()).hexdigest()


def raw_bytes(array: np.ndarray) -> memoryview:
    """The array's content in C order: the array's own memory, if that is contiguous."""
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8).data


def _array_digest(array: np.ndarray) -> list[Any]:
    return [array.dtype.str, array.shape, hashlib.sha256(raw_bytes(array)).hexdigest()]


def _ring_digest(ring: RingSlots) -> dict[str, Any]:
    arrays: dict[str, list[Any]] = {}
    for block in ring.blocks(ring.first):
        ends = np.cumsum(block["stop"] - block["start"])
        for name in block.keys() - {"start", "stop"}:
            array = block[name]
            if name not in arrays:
                hashes = [hashlib.sha256() for _ in ends]
                arrays[name] = [array.dtype.str, array.shape[1:], hashes]
            for environment, slots in enumerate(np.split(array, ends[:-1])):
                arrays[name][2][environment].update(raw_bytes(slots))
    return {
        "first": ring.first.tolist(),
        "stop": ring.stop.tolist(),
        "arrays": {
            name: [dtype, shape, [sha256.hexdigest() for sha256 in hashes]]
            for name, (dtype, shape, hashes) in arrays.items()
        },
    }


def _is_tag(key: str) -> bool:
    return key.startswith("$") and not key.startswith("$$")


def _scalar(dtype_name: str, data: Any) -> Any:
    """The NumPy number of this dtype whose bytes `data` encodes."""
    dtype, content = plain_dtype(dtype_name), bytes.fromhex(expect(str, data))
    if dtype.char not in _NUMBERS or len(content) != dtype.itemsize:
        raise ValueError(f"{dtype_name} is not the dtype of {len(content)} bytes")
    return np.frombuffer(content, dtype)[0]


def _escape(key: Any, path: str) -> str:
    if type(key) is not str:
        raise TypeError(f"{path} has the key {key!r}, and a checkpoint's keys are strings.")
    return _unicode(f"${key}" if key.startswith("$") else key, path)


def _unicode(text: str, path: str) -> str:
    """Returns `text`; raises TypeError if it holds half a surrogate pair, which JSON may join."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise TypeError(f"{path} has a string that is not Unicode text: {text!r}.") from error
    return text
