"""A connection to a Ray cluster."""

from __future__ import annotations

import importlib
import os
import socket
from typing import Any

from dopamine_lite.common.errors import UserError
from dopamine_lite.common.machine import usable_cores

_SECONDS_TO_ANSWER = 10.0


def connected(address: str | None, setting: str) -> tuple[Any, bool]:
    """Ray, connected to a cluster, and whether the connection was made here.

    Args:
      address: the address of the cluster; None: Ray is started on this machine.
      setting: the setting that gave the address, for messages.

    Raises:
      UserError: Ray is not installed, or the cluster cannot be reached.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is sent anywhere
    try:
        ray = importlib.import_module("ray")
    except ModuleNotFoundError as error:
        raise UserError(
            "Ray is not installed: install it with `pip install 'dopamine-lite[ray]'`."
        ) from error
    if ray.is_initialized():
        return ray, False
    if address is not None:
        _check_address(address, setting)
    own = {"num_cpus": usable_cores(), "include_dashboard": False} if address is None else {}
    try:
        ray.init(
            address or "local",
            log_to_driver=False,
            logging_level="error",
            configure_logging=True,
            **own,
        )
    except (ConnectionError, RuntimeError, ValueError) as error:
        problem = str(error).strip().partition("\n")[0].rstrip(".")
        raise UserError(
            f"The Ray cluster {address or 'on this machine'} cannot be used ({problem}): check "
            f"{setting}, and that `ray status` works there."
        ) from error
    return ray, True


def _check_address(address: str, setting: str) -> None:
    """Raises UserError if nothing answers. Ray itself would wait for minutes."""
    if address.startswith("ray://"):
        raise UserError(
            f"{setting} {address} is an address for Ray's clients: run this command on a node of "
            f"the cluster, where its files are, with {setting} auto."
        )
    host, _, port = address.rpartition(":")
    if not port.isdecimal():
        return
    try:
        socket.create_connection((host, int(port)), _SECONDS_TO_ANSWER).close()
    except (OSError, OverflowError) as error:
        raise UserError(
            f"No Ray cluster answers at {address} ({error}): check {setting}, and that `ray status` "
            "works there."
        ) from error
