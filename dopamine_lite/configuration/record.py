"""What gin knew when a Runner was built: a configuration that no later `load` changes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from gin import config as gin_config

from dopamine_lite.configuration import modules
from dopamine_lite.configuration.bindings import (
    MACRO,
    operative,
    reject_lost_bindings,
    reject_unused_bindings,
)

_Table = dict[tuple[str, str], dict[str, Any]]


class Record:
    """The bindings that are loaded now, and what of them is used `in_force`.

    Args:
      owners: the names of the configurable that is being built; of what gin has recorded so far only
        theirs counts, since everything else may have been called for something else.
      settings: with which it is built, whether gin supplies them or the caller.
    """

    def __init__(self, owners: Iterable[str], settings: Mapping[str, Any]):
        names = set(owners)
        self._bound = _copied(gin_config._CONFIG)
        self._imports = set(gin_config._IMPORTS)
        self._modules = modules.in_force()
        self._used = {
            key: values
            for key, values in _copied(gin_config._OPERATIVE_CONFIG).items()
            if key[1] == MACRO or key[1].rpartition(".")[2] in names
        }
        for key, values in self._used.items():
            if key[1] != MACRO:
                values.update(settings)

    @contextlib.contextmanager
    def in_force(self) -> Iterator[None]:
        """Gin knows this configuration and no other in the block, and records here what it uses."""
        bound, used = _copied(gin_config._CONFIG), _copied(gin_config._OPERATIVE_CONFIG)
        imports, imported = set(gin_config._IMPORTS), modules.in_force()
        _install(self._bound, self._used, self._imports)
        modules.put_in_force(*self._modules)
        try:
            yield
        finally:
            self._used, self._modules = _copied(gin_config._OPERATIVE_CONFIG), modules.in_force()
            _install(bound, used, imports)
            modules.put_in_force(*imported)

    def text(self) -> str:
        """`operative` of this configuration."""
        with self.in_force():
            return operative()

    def import_flags(self) -> str:
        """`modules.import_flags` of this configuration."""
        with self.in_force():
            return modules.import_flags()

    def check(self) -> None:
        """`reject_unused_bindings` and `reject_lost_bindings` of this configuration."""
        with self.in_force():
            reject_unused_bindings()
            reject_lost_bindings()


def _copied(table: _Table) -> _Table:
    return {key: dict(values) for key, values in table.items()}


def _install(bound: _Table, used: _Table, imports: set[Any]) -> None:
    """Gin's tables are emptied and filled, not replaced: its own functions hold on to them."""
    for table, content in ((gin_config._CONFIG, bound), (gin_config._OPERATIVE_CONFIG, used)):
        table.clear()
        table.update(_copied(content))
    gin_config._IMPORTS.clear()
    gin_config._IMPORTS.update(imports)
