"""The arrays of a checkpoint in one .npz file, whose headers must match its content."""

from __future__ import annotations

import itertools
import math
import os
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy

from dopamine_lite.checkpointing.storage import Damaged, DurableWriter, finding_damage
from dopamine_lite.checkpointing.tree import PLAIN_DTYPES
from dopamine_lite.files.plain_files import open_to_read

_HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
_MOST_EMPTY = 10**6  # rows of an array without bytes, which could claim any number of rows


def write_arrays(file: DurableWriter, arrays: Sequence[np.ndarray]) -> None:
    """Writes `arrays`, named by their index."""
    named: dict[str, Any] = {str(index): array for index, array in enumerate(arrays)}
    np.savez(file, allow_pickle=False, **named)


def read_arrays(path: Path) -> list[np.ndarray]:
    """The arrays that `write_arrays` wrote.

    Raises:
      Damaged: the file holds something else, such as objects, or its arrays claim to be larger.
    """
    with finding_damage(path.name), open_to_read(path) as file:
        try:
            with zipfile.ZipFile(file) as archive:
                members = archive.infolist()
                names = [f"{index}.npy" for index in range(len(members))]
                if {member.filename for member in members} != set(names):
                    raise ValueError("its members are not numbered arrays")
                if sum(member.file_size for member in members) > os.fstat(file.fileno()).st_size:
                    raise ValueError("its members are larger than the file")
                for member in members:
                    _check_member(archive, member)
                return [_read(archive, name) for name in names]
        except Exception as error:  # zipfile and NumPy have no common exception for foreign files
            raise Damaged(f"{path.name} does not hold a checkpoint's arrays ({error})") from error


def check_shape(shape: Sequence[int], itemsize: int) -> int:
    """The bytes that an array takes; raises ValueError if it claims many rows but has no bytes."""
    size = math.prod(shape) * itemsize
    if not size and math.prod(itertools.takewhile(bool, shape)) > _MOST_EMPTY:
        raise ValueError(f"an empty array of shape {tuple(shape)}")
    return size


def _check_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> None:
    """Raises ValueError if the array in `member` is not plain, or not as large as its header says."""
    if member.compress_type != zipfile.ZIP_STORED:
        raise ValueError(f"{member.filename} is compressed")
    with archive.open(member) as file:
        read = _HEADERS[npy.read_magic(file)]
        shape, _, dtype = read(file)
        begin = file.tell()
    if dtype.char not in PLAIN_DTYPES:
        raise ValueError(f"{member.filename} is an array of {dtype}")
    if any(type(axis) is not int or axis < 0 for axis in shape):
        raise ValueError(f"{member.filename} has the shape {shape}")
    if begin + check_shape(shape, dtype.itemsize) != member.file_size:
        raise ValueError(f"{member.filename} does not have the size of its shape {shape}")


def _read(archive: zipfile.ZipFile, name: str) -> np.ndarray:
    with archive.open(name) as file:
        array: np.ndarray = npy.read_array(file, allow_pickle=False)
    return array
