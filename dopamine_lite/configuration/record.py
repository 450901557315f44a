"""Configurations as values: gin's knowledge at one time, kept apart from later configurations.

Gin has one configuration per process. This module exchanges it: a block of code runs with the
configuration that is put in force, and after the block, gin has its earlier configuration again.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from dopamine_lite.configuration import gin_tables, modules, sources
from dopamine_lite.configuration.bindings import (
    MACRO,
    operative,
    reject_lost_bindings,
    reject_unused_bindings,
)

_Table = dict[tuple[str, str], dict[str, Any]]


class _Knowledge(NamedTuple):
    """Copies of gin's tables, which nothing else changes."""

    bound: _Table
    used: _Table
    imports: set[Any]
    singletons: dict[str, Any]  # objects that gin's `singleton` has made
    sources: sources.Sources
    modules: tuple[modules.ImportRule, dict[str, bool]]


class Loaded:
    """A separate configuration: `load` loads it, and gin forgets it again.

    Args:
      load: called with gin's tables empty; only it and the block of `in_force` see what it loads.
    """

    def __init__(self, load: Callable[[], object]):
        with _kept():
            load()
            self._knowledge = _known()._replace(used={}, singletons={})

    @contextlib.contextmanager
    def in_force(self) -> Iterator[None]:
        """In the block, gin knows this configuration and no other."""
        with _kept():
            _learn(self._knowledge)
            yield


class Record:
    """The bindings that are loaded now, and a record of those that are used `in_force`.

    Args:
      owners: the names of the configurable that is being built. Of gin's records so far, only theirs
        count, because other parts may have been called for other reasons.
      settings: the settings with which it is built, from gin or from the caller.
    """

    def __init__(self, owners: Iterable[str], settings: Mapping[str, Any]):
        names = set(owners)
        known = _known()
        used = {
            key: values
            for key, values in known.used.items()
            if key[1] == MACRO or key[1].rpartition(".")[2] in names
        }
        for key, values in used.items():
            if key[1] != MACRO:
                values.update(settings)
        self._knowledge = known._replace(used=used)

    @contextlib.contextmanager
    def in_force(self) -> Iterator[None]:
        """In the block, gin knows this configuration and no other, and records here what it uses."""
        with _kept():
            _learn(self._knowledge)
            try:
                yield
            finally:
                now = _known()
                self._knowledge = self._knowledge._replace(
                    used=now.used, singletons=now.singletons, modules=now.modules
                )

    def text(self) -> str:
        """`operative` of this configuration."""
        with self.in_force():
            return operative()

    def asked_imports(self) -> list[str]:
        """`modules.asked_imports` of this configuration."""
        with self.in_force():
            return modules.asked_imports()

    def check(self) -> None:
        """`reject_unused_bindings` and `reject_lost_bindings` of this configuration."""
        with self.in_force():
            reject_unused_bindings()
            reject_lost_bindings()


@contextlib.contextmanager
def _kept() -> Iterator[None]:
    """Gin's knowledge after the block is the same as before it."""
    before = _known()
    try:
        yield
    finally:
        _learn(before)


def _known() -> _Knowledge:
    return _Knowledge(
        _copied(gin_tables.BOUND),
        _copied(gin_tables.USED),
        set(gin_tables.IMPORTS),
        dict(gin_tables.SINGLETONS),
        sources.sources(),
        modules.in_force(),
    )


def _learn(knowledge: _Knowledge) -> None:
    """Empties and fills gin's tables. It does not replace them: gin's functions keep references."""
    tables: tuple[tuple[Any, Any], ...] = (
        (gin_tables.BOUND, _copied(knowledge.bound)),
        (gin_tables.USED, _copied(knowledge.used)),
        (gin_tables.SINGLETONS, knowledge.singletons),
        (gin_tables.IMPORTS, knowledge.imports),
    )
    for table, content in tables:
        table.clear()
        table.update(content)
    sources.put_in_force(knowledge.sources)
    modules.put_in_force(*knowledge.modules)


def _copied(table: _Table) -> _Table:
    return {key: dict(values) for key, values in table.items()}
