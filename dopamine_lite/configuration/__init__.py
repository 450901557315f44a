"""Gin configs: finding and loading them, sentences for every mistake, and what was really used."""

from dopamine_lite.configuration.bindings import (
    differences,
    imported_modules,
    operative,
    reject_lost_bindings,
    reject_unused_bindings,
    statements,
    unused_bindings,
)
from dopamine_lite.configuration.files import all_configs, find_config, packaged_configs
from dopamine_lite.configuration.loading import construct, load
from dopamine_lite.configuration.sentences import original

__all__ = [
    "all_configs",
    "construct",
    "differences",
    "find_config",
    "imported_modules",
    "load",
    "operative",
    "original",
    "packaged_configs",
    "reject_lost_bindings",
    "reject_unused_bindings",
    "statements",
    "unused_bindings",
]
