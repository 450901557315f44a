"""Checkpoints made to do harm: each is loaded or refused by a sentence, at once and within memory."""

from __future__ import annotations

import copy
import io
import json
import os
import random
import shutil
import socket
import tempfile
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dopamine_lite.checkpointing import Checkpointer, digest
from dopamine_lite.common import memory
from dopamine_lite.common.errors import UserError
from tests.checkpointing import crafted
from tests.core import core

MEMORY = 32 << 20  # bytes that the machine pretends to have
IN_MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None


@pytest.fixture(autouse=True)
def little_memory(monkeypatch):
    monkeypatch.setattr(memory, "available_memory", lambda: MEMORY)


@pytest.fixture
def checkpoint(tmp_path):
    return crafted.save(tmp_path)


def test_what_is_as_it_was_saved_is_loaded(checkpoint):
    for change in (crafted.change_manifest, crafted.change_state):
        change(checkpoint, lambda content: None)
    crafted.change_arrays(checkpoint, crafted.arrays_of(checkpoint))
    crafted.change_segment(checkpoint, lambda header, data: (header, data))
    assert digest(crafted.load(checkpoint.parent)) == digest(crafted.state())


# Arrays -----------------------------------------------------------------------------------------

FLOATS = "{'descr': '<f4', 'fortran_order': False, 'shape': %s, }"
OBJECTS = "{'descr': '|O', 'fortran_order': False, 'shape': (1,), }"
ARRAYS: dict[str, tuple[bytes, str]] = {
    "six terabytes": (
        crafted.npy(FLOATS % "(1500000000000,)", bytes(48)),
        "does not have the size of its shape",
    ),
    "overflow": (
        crafted.npy(FLOATS % f"({2**62}, {2**62})", bytes(48)),
        "does not have the size of its shape",
    ),
    "negative": (crafted.npy(FLOATS % "(-3, -4)", bytes(48)), "has the shape"),
    "no bytes": (crafted.npy(FLOATS % "(1000000000000, 0)"), "an empty array"),
    "objects": (crafted.npy(OBJECTS, b"cos\nsystem\n(S'exit 1'\ntR."), "an array of object"),
    "nested dtype": (crafted.npy(FLOATS.replace("'<f4'", "[('a', '|O')]") % "(1,)"), "of \\[\\('a"),
    "dates": (crafted.npy(FLOATS.replace("<f4", "<M8[s]") % "(1,)", bytes(8)), "datetime64"),
    "no dtype": (crafted.npy(FLOATS.replace("<f4", "what") % "(1,)"), ""),
    "deep": (crafted.npy("(" * 5000 + ")" * 5000), ""),
    "long": (crafted.npy("[" + "1," * 20000 + "]"), ""),
    "code": (crafted.npy("__import__('os').system('true')"), ""),
    "no header": (b"\x93NUMPY\x09\x09", ""),
    "pickle": (b"\x80\x04K\x01.", ""),
    "nothing": (b"", ""),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_arrays(checkpoint, name):
    content, sentence = ARRAYS[name]
    crafted.change_arrays(checkpoint, crafted.arrays_of(checkpoint) | {"1.npy": content})
    with pytest.raises(UserError, match=f"checkpoint 7: state.npz does not hold .*{sentence}"):
        crafted.load(checkpoint.parent)


def more(members: dict[str, bytes]) -> dict[str, bytes]:
    return members | {"../../evil": b"x"}


def fewer(members: dict[str, bytes]) -> dict[str, bytes]:
    return {name: content for name, content in members.items() if name != "1.npy"}


def unused(members: dict[str, bytes]) -> dict[str, bytes]:
    return members | {f"{len(members)}.npy": members["0.npy"]}


@pytest.mark.parametrize("change", [more, fewer, unused])
def test_members(checkpoint, change):
    crafted.change_arrays(checkpoint, change(crafted.arrays_of(checkpoint)))
    with pytest.raises(UserError, match="checkpoint 7: state"):
        crafted.load(checkpoint.parent)


def test_compressed_arrays(checkpoint):
    members = crafted.arrays_of(checkpoint)
    members["1.npy"] = crafted.npy(FLOATS % f"({MEMORY},)", bytes(4 * MEMORY))
    crafted.change_arrays(checkpoint, members, zipfile.ZIP_DEFLATED)
    with pytest.raises(UserError, match=r"(larger than the file|is compressed)"):
        crafted.load(checkpoint.parent)


def test_many_members_in_the_same_bytes(checkpoint):
    """The directory of the archive lists one array of a megabyte again and again."""
    members = {"0.npy": crafted.npy(FLOATS % f"({1 << 18},)", bytes(1 << 20))}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("0.npy", members["0.npy"])
        for index in range(1, 100):
            again = copy.copy(archive.infolist()[0])
            again.filename = f"{index}.npy"
            archive.filelist.append(again)
    crafted.rewrite(checkpoint / "state.npz", buffer.getvalue())
    with pytest.raises(UserError, match="larger than the file"):
        crafted.load(checkpoint.parent)


# The state's tree -------------------------------------------------------------------------------


def deep(depth: int, form: str = "[{}]") -> bytes:
    opening, closing = form.split("{}")
    return opening.encode() * depth + b"0" + closing.encode() * depth


TREES = {
    "deep list": deep(100_000),
    "less deep list": b'{"a": ' + deep(900) + b"}",
    "deep object": deep(100_000, '{"a":{}}'),
    "deep tuple": deep(400, '{"$tuple":[{}]}'),
    "list": b"[]",
    "number": b"7",
    "nothing": b"",
    "no text": b"\xff\xfe\xfd",
    "long number": b'{"a": ' + b"9" * 5000 + b"}",
    "no arrays": b"{}",
}
VALUES: dict[str, Any] = {
    "array twice": [{"$array": 0}, {"$array": 0}],
    "array that is not there": {"$array": 99},
    "negative array": {"$array": -1},
    "array by name": {"$array": "0"},
    "array by list": {"$array": []},
    "true array": {"$array": True},
    "ring twice": {"$ring": "state['replay']['slots']"},
    "ring that is not there": {"$ring": "state"},
    "ring by list": {"$ring": ["state"]},
    "unknown tag": {"$what": 1},
    "tag with company": {"$int": "0x1", "other": 2},
    "tag behind a key": {"other": 2, "$int": "0x1"},
    "tuple of a number": {"$tuple": 3},
    "int of a number": {"$int": 3},
    "int of words": {"$int": "three"},
    "float of words": {"$float": "zz"},
    "short float": {"$float": "00"},
    "scalar of objects": {"$scalar": ["|O", "0000000000000000"]},
    "scalar of dates": {"$scalar": ["<M8[s]", "0000000000000000"]},
    "scalar of nothing": {"$scalar": []},
    "scalar of an unknown dtype": {"$scalar": ["()()", ""]},
    "scalar of fields": {"$scalar": ["i4,i4", "0000000000000000"]},
    "scalar of too much": {"$scalar": ["<f4", "00" * 8]},
    "scalar of a list": {"$scalar": [["<f4"], "00" * 4]},
    "scalar of six terabytes": {"$scalar": ["<U1500000000", ""]},
}


@pytest.mark.parametrize("name", TREES)
def test_trees(checkpoint, name):
    crafted.rewrite(checkpoint / "state.json", TREES[name])
    with pytest.raises(UserError, match=r"\(checkpoint 7: state.json "):
        crafted.load(checkpoint.parent)


@pytest.mark.parametrize("name", VALUES)
def test_values(checkpoint, name):
    crafted.change_state(checkpoint, lambda tree: tree | {"steps": VALUES[name]})
    with pytest.raises(UserError, match=r"\(checkpoint 7: state.json "):
        crafted.load(checkpoint.parent)


# The manifest -----------------------------------------------------------------------------------

RING = "state['replay']['slots']"


def ring(**changes: Any) -> Callable[[dict], None]:
    return lambda manifest: manifest["rings"][RING].update(changes)


def segment(index: int = 0, **changes: Any) -> Callable[[dict], None]:
    return lambda manifest: manifest["rings"][RING]["segments"][index].update(changes)


def record(**changes: Any) -> Callable[[dict], None]:
    return lambda manifest: manifest["files"]["state.npz"].update(changes)


def without(key: str) -> Callable[[dict], None]:
    return lambda manifest: manifest.pop(key)


MANIFESTS: dict[str, Callable[[dict], Any]] = {
    "list": lambda manifest: [],
    "number": lambda manifest: 3,
    **{f"no {key}": without(key) for key in ("schema", "number", "files", "rings", "written_by")},
    "number as words": lambda m: m.update(number="7"),
    "negative number": lambda m: m.update(number=-7),
    "files as a list": lambda m: m.update(files=["state.json"]),
    "no files": lambda m: m.update(files={}),
    "rings as a list": lambda m: m.update(rings=[]),
    "a ring more": lambda m: m["rings"].update(more={"first": [], "stop": [], "segments": []}),
    "the same ring twice": lambda m: m["rings"].update(more=m["rings"][RING]),
    "schema as a list": lambda m: m.update(schema=[1]),
    "size as words": record(size="12"),
    "negative size": record(size=-1),
    "half a size": record(size=0.5),
    "digest as a number": record(sha256=5),
    "first as a number": ring(first=3),
    "negative first": ring(first=[-1, 2]),
    "huge stop": ring(stop=[2**70, 5]),
    "stop before first": ring(first=[6, 2], stop=[5, 2], segments=[]),
    "more slots than segments": ring(stop=[600, 5]),
    "fewer slots than segments": ring(stop=[5, 5]),
    "no segments": ring(segments=[]),
    "other environments": ring(first=[0], stop=[6]),
    "segments as words": ring(segments="none"),
    "segment of words": ring(segments=["segment"]),
    "path as name": segment(name="../../etc/passwd"),
    "absolute name": segment(name="/etc/passwd"),
    "link's name": segment(name="segment-000000000007-000000.zst/../x"),
    "no name": segment(name=None),
    "gap": segment(1, start=[4, 5]),
    "overlap": segment(1, start=[2, 5]),
    "backwards": segment(stop=[0, 0]),
    "environments that differ": segment(stop=[3]),
}


@pytest.mark.parametrize("name", MANIFESTS)
def test_manifests(checkpoint, name):
    crafted.change_manifest(checkpoint, MANIFESTS[name])
    with pytest.raises(UserError, match="No checkpoint in .* is intact"):
        crafted.load(checkpoint.parent)
    with pytest.raises(UserError, match="No checkpoint in .* is intact"):
        Checkpointer(checkpoint.parent).restore()


def test_a_manifest_that_is_no_manifest(checkpoint):
    for content in (b"", b"\x00" * 9, deep(100_000), b"9" * 5000):
        (checkpoint / "manifest.json").write_bytes(content)
        with pytest.raises(UserError, match="manifest.json is not a manifest"):
            crafted.load(checkpoint.parent)


# Segments ---------------------------------------------------------------------------------------


def header(**changes: Any) -> Callable[[dict, bytes], tuple[Any, bytes]]:
    return lambda header, data: (header | changes, data)


SEGMENTS: dict[str, Callable[[dict, bytes], tuple[Any, bytes]]] = {
    "six terabytes": header(arrays=[["frames", "|u1", [4, 1_500_000_000_000]]]),
    "a bomb": lambda h, _: (h | {"arrays": [["f", "|u1", [4, MEMORY]]]}, bytes(4 * MEMORY)),
    "objects": header(arrays=[["frames", "|O", [4, 4]]]),
    "negative": header(arrays=[["frames", "|u1", [4, -4]]]),
    "no bytes": header(arrays=[["frames", "|u1", [4, 0, 10**12]]]),
    "no arrays": header(arrays=[]),
    "arrays as words": header(arrays="frames"),
    "an array as words": header(arrays=["frames"]),
    "more slots": header(stop=[600, 5]),
    "slots as words": header(start="0"),
    "other length": header(arrays=[["frames", "|u1", [3, 4]]]),
    "start as an array": header(arrays=[["start", "|u1", [4]]]),
    "no start": lambda h, data: ({"arrays": h["arrays"]}, data),
    "list": lambda h, data: ([], data),
    "no JSON": lambda h, data: (b"\x03\x00\x00\x00{{{", data),
    "deep": lambda h, data: ((10**5).to_bytes(4, "little") + b"[" * 10**5, data),
    "four gigabytes of header": lambda h, data: (b"\xff\xff\xff\xff", data),
    "nothing": lambda h, data: (b"", b""),
    "less data": lambda h, data: (h, data[:-1]),
    "more data": lambda h, data: (h, data + b"x"),
}


@pytest.mark.parametrize("name", SEGMENTS)
def test_segments(checkpoint, name):
    crafted.change_segment(checkpoint, SEGMENTS[name])
    tracemalloc.start()
    with pytest.raises(UserError, match="segment-000000000007-000000.zst"):
        crafted.load(checkpoint.parent)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < MEMORY


# What is no file --------------------------------------------------------------------------------


def pipe(path: Path) -> None:
    os.mkfifo(path)


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def a_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server, tempfile.TemporaryDirectory() as short:
        server.bind(f"{short}/s")
        os.rename(f"{short}/s", path)


def endless(path: Path) -> None:
    with open(path, "wb") as file:
        file.truncate(1 << 42)  # four terabytes, of which none is on the disk


@pytest.mark.parametrize("harm", [pipe, device, a_socket, Path.mkdir, endless])
@pytest.mark.parametrize("name", ["manifest.json", "state.json", "state.npz", "segment", "lock"])
def test_what_is_no_file_does_not_hang(checkpoint, name, harm):
    directory = checkpoint.parent
    if name == "lock":
        paths = [directory / ".lock"]
    elif name == "segment":
        paths = sorted((directory / "replay").glob("segment-*-000000.zst*"))
    else:
        paths = [checkpoint / name]
    for path in paths:
        path.unlink()
        harm(path)
    if name != "lock":
        with pytest.raises(UserError):
            crafted.load(directory)
    if name == "lock" and harm is endless:
        assert Checkpointer(directory).restore().number == crafted.NUMBER
        return
    with pytest.raises(UserError):
        Checkpointer(directory).restore()


def test_a_file_with_the_digest_of_four_terabytes_is_not_hashed(checkpoint):
    endless(checkpoint / "state.npz")
    crafted.change_manifest(checkpoint, record(size=1 << 42))
    with pytest.raises(UserError, match=r"state.npz needs 4398.05 GB of memory, but 0.03 GB are"):
        crafted.load(checkpoint.parent)


# Whatever it is ---------------------------------------------------------------------------------

ODD: list[Any] = [
    *(None, True, False, 0, 1, -1, 7, 2**31, 2**63, 2**70, 10**400, 0.5, -0.0, 1e308),
    *(
        "",
        "7",
        "a" * 1000,
        "../../x",
        "/etc/passwd",
        "\x00",
        "$array",
        "0" * 64,
        "|O",
        "<U99999999",
    ),
    *(
        [],
        {},
        [[]],
        [0],
        [2**62, 2**62],
        [10**12, 0],
        {"$array": 0},
        {"$ring": "x"},
        {"$tuple": []},
    ),
    *({"$scalar": ["<f8", ""]}, {"a": {"b": [1]}}, [None] * 50),
]
TEXTS = [b"'<f4'", b"'|O'", b"(3, 4)", b"(9999999999999,)", b"(0, 9999999999999)", b"False", b"()"]


def places(value: Any, path: tuple = ()) -> list[tuple]:
    """The paths of everything in a JSON value."""
    children = value.items() if isinstance(value, dict) else enumerate(value)
    found = [path]
    if isinstance(value, dict | list):
        for key, child in children:
            found += places(child, (*path, key))
    return found


def mutate(value: Any, generator: random.Random) -> Any:
    """`value` with one place changed: replaced, removed, doubled, renamed or swapped."""
    *_, last = path = generator.choice([place for place in places(value) if place] or [(0,)])
    value = copy.deepcopy(value)
    parent = value
    for key in path[:-1]:
        parent = parent[key]
    kind = generator.randrange(6)
    if kind == 0:
        del parent[last]
    elif kind == 1 and isinstance(parent, list):
        parent.insert(last, copy.deepcopy(parent[last]))
    elif kind == 1:
        parent[generator.choice(["x", "$x", "$int", "$array"])] = parent.pop(last)
    elif kind == 2 and isinstance(parent[last], int):
        parent[last] += generator.choice([-1, 1, 2**32])
    else:
        parent[last] = copy.deepcopy(generator.choice(ODD))
    return value


def mutate_bytes(content: bytes, generator: random.Random) -> bytes:
    changed = bytearray(content)
    kind, at = generator.randrange(4), generator.randrange(len(content) + 1)
    if kind == 0:
        return bytes(changed[:at])
    if kind == 1:
        return bytes(changed[:at] + generator.randbytes(3) + changed[at:])
    if kind == 2:
        old, new = generator.choice(TEXTS), generator.choice(TEXTS)
        return bytes(changed.replace(old, new))
    changed[at % len(changed)] = generator.randrange(256)
    return bytes(changed)


def harm(checkpoint: Path, generator: random.Random) -> None:
    """One mutation of one of the files, whose digests are right afterwards."""
    kind = generator.randrange(5)
    if kind == 0:
        crafted.change_manifest(checkpoint, lambda manifest: mutate(manifest, generator))
    elif kind == 1:
        crafted.change_state(checkpoint, lambda tree: mutate(tree, generator))
    elif kind == 2:
        members = crafted.arrays_of(checkpoint)
        name = generator.choice(list(members))
        members[name] = mutate_bytes(members[name], generator)
        crafted.change_arrays(checkpoint, members)
    elif kind == 3:
        path = checkpoint / generator.choice(["state.json", "state.npz"])
        crafted.rewrite(path, mutate_bytes(path.read_bytes(), generator))
    elif generator.random() < 0.7:
        crafted.change_segment(checkpoint, lambda h, data: (mutate(h, generator), data))
    else:
        crafted.change_segment(checkpoint, lambda h, data: (h, mutate_bytes(data, generator)))


@pytest.mark.parametrize("seed", core(range(4), 0))
def test_whatever_is_changed_it_is_loaded_or_refused_by_a_sentence(seed):
    generator = random.Random(seed)
    loaded = refused = 0
    with tempfile.TemporaryDirectory(dir=IN_MEMORY) as name:
        origin = Path(name, "origin")
        crafted.save(origin)
        for number in range(150):
            directory = shutil.copytree(origin, Path(name, str(number)))
            for _ in range(generator.randint(1, 2)):
                try:
                    harm(directory / crafted.CHECKPOINT, generator)
                except (ValueError, KeyError, TypeError, AttributeError, zipfile.BadZipFile):
                    break  # the first mutation left nothing that a second can change
            tracemalloc.start()
            for take in (crafted.load, restore):
                try:
                    take(directory)
                    loaded += 1
                except UserError as error:
                    assert "\n" not in str(error) and str(error).endswith((".", "works."))
                    refused += 1
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            assert peak < 2 * MEMORY
            shutil.rmtree(directory)
    assert loaded > 20 and refused > 50


def restore(directory: Path) -> None:
    checkpointer = Checkpointer(directory, report=lambda _: None)
    try:
        restored = checkpointer.restore()
        assert restored is not None
        crafted.read_rings(restored.state)
    finally:
        checkpointer.close()


def test_an_older_checkpoint_stands_in_for_a_crafted_one(tmp_path):
    with tempfile.TemporaryDirectory(dir=IN_MEMORY) as name:
        checkpointer = Checkpointer(Path(name))
        for number in (6, 7):
            checkpointer.save(number, crafted.state() | {"steps": number})
        checkpointer.close()
        newest = Path(name, crafted.CHECKPOINT)
        crafted.rewrite(newest / "state.json", json.dumps({"a": {"$array": 99}}).encode())
        told: list[str] = []
        restored = Checkpointer(Path(name), report=told.append).restore()
        assert restored.number == 6
        assert digest(restored.state) == digest(crafted.state() | {"steps": 6})
        assert len(told) == 1 and "names 99, which is missing or named twice" in told[0]
