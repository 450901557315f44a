"""Gin's private tables, which no other module touches.

Gin has no public function that tells what is registered, bound or used, or that sets where files are
read from. The names here are from gin-config 0.5.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from gin import config

# Everything that `@gin.configurable` has registered, by selector.
REGISTRY: Any = config._REGISTRY
# The parameters' values that were bound, and those that were used, by (scope, selector) and name.
BOUND: dict[tuple[str, str], dict[str, Any]] = config._CONFIG
USED: dict[tuple[str, str], dict[str, Any]] = config._OPERATIVE_CONFIG
IMPORTS: set[Any] = config._IMPORTS  # statements
# How often a parameter has been bound while `reading`, by (scope, selector, parameter).
TIMES_BOUND: Counter[tuple[str, str, str]] = Counter()
SINGLETONS: dict[str, Any] = config._SINGLETONS
CONSTANTS: Any = config._CONSTANTS

constructor_of: Callable[[type], Callable[..., Any]] = config._find_class_construction_fn
config_text: Callable[..., str] = config._config_str


@contextlib.contextmanager
def reading(
    prefixes: list[str], readers: list[tuple[Any, Callable[[str], bool]]], context: type
) -> Iterator[None]:
    """In this block, gin finds files at `prefixes`, reads them with `readers`, parses in `context`.

    Gin's public functions can only add to the first two. Its second file reader looks inside Python
    packages and logs an error for every file that it does not find there.
    """
    before = config._LOCATION_PREFIXES[:], config._FILE_READERS[:], config.ParseContext
    bind = config.bind_parameter

    def bind_and_count(binding_key: Any, value: Any) -> None:
        bind(binding_key, value)
        key = config.ParsedBindingKey.parse(binding_key)
        TIMES_BOUND[(*key.config_key, key.arg_name)] += 1

    TIMES_BOUND.clear()
    config._LOCATION_PREFIXES[:], config._FILE_READERS[:] = prefixes, readers
    config.ParseContext, config.bind_parameter = context, bind_and_count
    try:
        yield
    finally:
        config._LOCATION_PREFIXES[:], config._FILE_READERS[:], config.ParseContext = before
        config.bind_parameter = bind
