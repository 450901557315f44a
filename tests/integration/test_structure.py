"""The rooms of the package: which know which, and how large their files are."""

from __future__ import annotations

import ast
import graphlib
from collections import defaultdict
from pathlib import Path

PACKAGE = Path(__file__).parents[2] / "dopamine_lite"
# What may import nothing of a room that is not below it.
LOWEST = {"losses": set(), "common": set(), "files": {"common"}, "spaces": {"common"}}
ORGANS = ("acting", "learning", "replay")
MOST_LINES = 400
MOST_COMMON_LINES = 600


def _is_for_type_checkers(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


def _imports(node: ast.AST) -> set[str]:
    """The modules of this package that are imported anywhere below `node`, also inside functions."""
    if _is_for_type_checkers(node):
        return set()
    found = {name for child in ast.iter_child_nodes(node) for name in _imports(child)}
    if isinstance(node, ast.ImportFrom) and node.module and not node.level:
        is_top = node.module == PACKAGE.name
        found |= {f"{node.module}.{each.name}" for each in node.names} if is_top else {node.module}
    elif isinstance(node, ast.Import):
        found |= {each.name for each in node.names}
    return {name for name in found if name.startswith(f"{PACKAGE.name}.")}


def known_rooms() -> dict[str, set[str]]:
    """By room, the rooms that it imports."""
    known = defaultdict(set)
    for path in PACKAGE.rglob("*.py"):
        place = path.relative_to(PACKAGE)
        if len(place.parts) > 1:
            imported = {name.split(".")[1] for name in _imports(ast.parse(path.read_text()))}
            known[place.parts[0]] |= imported - {place.parts[0]}
    return known


def test_arrows_point_one_way():
    known = known_rooms()
    list(graphlib.TopologicalSorter(known).static_order())  # raises CycleError
    for room, below in LOWEST.items():
        assert known[room] <= below, room
    assert not any("cli" in imported for imported in known.values())
    for organ in ORGANS:
        assert not known[organ] & {"agents", "environments", "runner", "acting"}, organ


def test_files_are_short():
    lengths = {path: len(path.read_text().splitlines()) for path in PACKAGE.rglob("*.py")}
    long = {path.name: length for path, length in lengths.items() if length > MOST_LINES}
    assert not long
    common = sum(length for path, length in lengths.items() if path.parent.name == "common")
    assert common < MOST_COMMON_LINES
