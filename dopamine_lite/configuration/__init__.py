"""Gin configs: finding and loading them, a message for every mistake, and a record of used settings."""

from dopamine_lite.configuration.bindings import (
    bound,
    imported_modules,
    operative,
    parts_by_module,
    reject_lost_bindings,
    reject_unused_bindings,
    unused_bindings,
)
from dopamine_lite.configuration.comparison import (
    changes,
    differences,
    may_change,
    new_settings,
    statements,
    without_what_may_change,
)
from dopamine_lite.configuration.files import all_configs, find_config, packaged_configs
from dopamine_lite.configuration.history import translated, with_header
from dopamine_lite.configuration.loading import config_text, construct, load, load_run, load_text
from dopamine_lite.configuration.modules import ImportRule, import_module
from dopamine_lite.configuration.record import Loaded, Record
from dopamine_lite.configuration.sentences import original
from dopamine_lite.configuration.sources import sources

__all__ = [
    "ImportRule",
    "Loaded",
    "Record",
    "all_configs",
    "bound",
    "changes",
    "config_text",
    "construct",
    "differences",
    "find_config",
    "import_module",
    "imported_modules",
    "load",
    "load_run",
    "load_text",
    "may_change",
    "new_settings",
    "operative",
    "original",
    "parts_by_module",
    "packaged_configs",
    "reject_lost_bindings",
    "reject_unused_bindings",
    "sources",
    "statements",
    "translated",
    "unused_bindings",
    "with_header",
    "without_what_may_change",
]
