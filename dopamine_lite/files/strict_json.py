"""JSON from files that anyone may have written. Refuses files that do not fit into memory."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any

from dopamine_lite.common.memory import require_memory
from dopamine_lite.files.plain_files import open_to_read

_EXPANSION = 25  # greatest number of bytes in memory for a byte of JSON such as "[[],[],[]]"
_LARGEST = 2**63 - 1


def parse(text: bytes | str) -> Any:
    """The value that `text` describes.

    Raises:
      ValueError: it is not JSON, or is nested too deeply.
    """
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def read(path: Path) -> Any:
    """The value that the regular file `path` describes.

    Raises:
      ValueError: as `parse`.
      UserError: it would not fit into memory, or is not a regular file.
      OSError: as `open`.
    """
    with open_to_read(path) as file:
        require_memory_to_parse(os.fstat(file.fileno()).st_size, path)
        return parse(file.read())


def require_memory_to_parse(size: int, path: Path) -> None:
    """Raises UserError if `size` bytes of JSON from `path` may not fit into memory."""
    require_memory(_EXPANSION * size, f"reading {path}", "it is too large for this machine")


def whole(value: Any) -> int:
    """`value`, which has to be a whole number from 0 to 2^63 - 1; else raises ValueError."""
    if type(value) is not int or not 0 <= value <= _LARGEST:
        raise ValueError(f"{_shown(value)} instead of a whole number")
    return value


def wholes(value: Any) -> list[int]:
    """`value`, which has to be a list of whole numbers, as in `whole`; else raises ValueError."""
    return [whole(item) for item in expect(list, value)]


def number(value: Any) -> None:
    """Raises ValueError unless `value` is a finite number, or None."""
    if value is None or (type(value) is float and math.isfinite(value)):
        return
    if type(value) is not int or abs(value) > _LARGEST:
        raise ValueError(f"{_shown(value)} instead of a number")


def seconds_by_name(value: Any) -> dict[str, float]:
    """`value`, which has to be an object of numbers of seconds; else raises ValueError."""
    for seconds in expect(dict, value).values():
        number(seconds)
        if seconds is None or seconds < 0:
            raise ValueError(f"{_shown(seconds)} instead of a number of seconds")
    return dict(value)


def expect(kind: type, value: Any) -> Any:
    """`value`, which has to be of `kind`; else raises ValueError."""
    if type(value) is not kind:
        raise ValueError(f"{_shown(value)} instead of {_KINDS[kind]}")
    return value


_KINDS: dict[type, str] = {dict: "an object", list: "a list", str: "a string"}


def _shown(value: Any) -> str:
    if isinstance(value, dict | list):
        return _KINDS[type(value)]
    text = json.dumps(value) if not isinstance(value, int) or abs(value) <= _LARGEST else "a number"
    return text if len(text) <= 40 else f"{text[:37]}..."
