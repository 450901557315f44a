"""The sources of the loaded configuration, for provenance."""

from __future__ import annotations

from typing import NamedTuple


class Sources(NamedTuple):
    """Gin files as they were named, and bindings as they were written, in the order of reading."""

    gin_files: tuple[str, ...] = ()
    gin_bindings: tuple[str, ...] = ()
    # The files' bindings of parts that were replaced, as written in gin.
    dropped: tuple[str, ...] = ()


_sources = Sources()  # like gin's own tables, for the loaded configuration


def sources() -> Sources:
    return _sources


def put_in_force(sources: Sources) -> None:
    global _sources
    _sources = sources
