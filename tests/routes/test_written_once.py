"""Paths of endpoints stand at their routes; what several rooms name is in `terms.paths`, what pages do in `Links`."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from pathlib import Path

import pytest

from modelyard.app import all_routers
from modelyard.routes.oauth.routers import ROUTES as OAUTH_ROUTES
from tests.documents import ROOT

pytestmark = pytest.mark.once

SOURCE = ROOT / "src" / "modelyard"
LEAST_LETTERS = 7  # shorter ones are words of other texts, too: "…/files" is a store's
BEGIN_OTHERS = {"projects", "metrics"}  # what lies in a project, and histories of MLflow's metrics
ELSEWHERE = {"paths.py", "common.py"}


def endings() -> dict[str, set[str]]:
    """The last two segments at most of each literal part of a path, with the modules whose routes have it."""
    found: dict[str, set[str]] = defaultdict(set)
    routes = [route for module in all_routers() for route in module.router.routes]
    for route in [*routes, *OAUTH_ROUTES]:
        assert hasattr(route, "path")
        assert hasattr(route, "endpoint")
        for part in re.split(r"\{[^}]*\}", route.path):
            ending = "/".join(part.strip("/").split("/")[-2:])
            if len(ending) >= LEAST_LETTERS and ending not in BEGIN_OTHERS:
                found[ending].add(route.endpoint.__module__)
    return found


def written(path: Path) -> list[tuple[int, str]]:
    """The texts of a module, but for those that document it."""
    nodes = list(ast.walk(ast.parse(path.read_text())))
    documents = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
    texts = [node for node in nodes if isinstance(node, ast.Constant) and id(node) not in documents]
    return [(text.lineno, text.value) for text in texts if isinstance(text.value, str)]


def test_no_path_of_an_endpoint_is_written_elsewhere() -> None:
    known = endings()
    assert len(known) > 100
    # `common.py` is where the routes of a face have what all of their paths begin with.
    files = [path for path in SOURCE.rglob("*.py") if path.parent.name != "pages" and path.name not in ELSEWHERE]
    twice = [
        f"{path.relative_to(SOURCE)}:{line} {ending}"
        for path in files
        for line, text in written(path)
        for ending, modules in known.items()
        if re.search(rf"/{re.escape(ending)}(/|\?|$)", text)
        and ".".join(path.relative_to(SOURCE.parent).with_suffix("").parts) not in modules
    ]
    assert twice == []
