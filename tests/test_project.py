"""The tree itself: what must not be in it, and pins that cover what it needs."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from modelyard import __version__

ROOT = Path(__file__).resolve().parent.parent
PINS = sorted((ROOT / ".constraints").glob("*.txt"))
LOCKS = sorted((ROOT / ".constraints").glob("*/package-lock.json"))
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT = PYPROJECT["project"]
OURS = {"modelyard", "modelyard_client"}
NOT_IMPORTED = {"uvloop"}  # uvicorn takes it where it finds it
PARTS = {
    "botocore": "boto3",
    "pydantic-core": "pydantic",
    "markupsafe": "jinja2",
}  # of which the other picks the version


def tracked_texts() -> dict[str, str]:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False).stdout.split(
        "\n"
    )
    pictures = (".png",)
    paths = [ROOT / name for name in listed if name and not name.endswith(pictures) and (ROOT / name).is_file()]
    return {str(path.relative_to(ROOT)): path.read_text() for path in paths}


def pinned(path: Path) -> set[str]:
    return {name.lower().replace("_", "-") for name in re.findall(r"^([\w.-]+)==", path.read_text(), re.MULTILINE)}


def required(requirements: list[str]) -> set[str]:
    return {re.split(r"[<>=;\[ ]", each)[0].lower() for each in requirements}


def test_no_file_names_a_machine_or_a_package_registry() -> None:
    # Written so that it does not find itself.
    places, hosts = (
        r"/hom[e]/\w+/|/roo[t]/\.|/User[s]/\w+/|index-ur[l]",
        r"https?://[^\s/]*(?:pyp[i]|pythonhoste[d]|npmj[s])",
    )
    forbidden = re.compile(f"{places}|{hosts}")
    own = {".constraints/renew.py"}
    found = {name for name, text in tracked_texts().items() if name not in own and forbidden.search(text)}
    assert found == set()


@pytest.mark.parametrize("path", PINS, ids=lambda path: path.stem)
def test_pins_have_hashes_and_no_address(path: Path) -> None:
    text = path.read_text()
    assert "://" not in text
    blocks = re.split(r"\n(?=\w)", re.sub(r"^#.*\n", "", text, flags=re.MULTILINE))
    assert all("--hash=sha256:" in block for block in blocks)


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: path.parent.name)
def test_locks_have_hashes_and_no_place_to_get_things_from(path: Path) -> None:
    packages = json.loads(path.read_text())["packages"]
    declared = json.loads(path.with_name("package.json").read_text())["dependencies"]
    assert packages.pop("")["dependencies"] == declared
    assert {f"node_modules/{name}" for name in declared} <= packages.keys()
    assert all(each["integrity"].startswith("sha512-") and "resolved" not in each for each in packages.values())


def test_pins_cover_what_is_declared() -> None:
    pins = {path.stem: pinned(path) for path in PINS}
    assert required(PROJECT["dependencies"]) <= pins["runtime"]
    assert required(PROJECT["optional-dependencies"]["dev"]) | pins["runtime"] <= pins["dev"]


def imported(*folders: str) -> set[str]:
    """The packages, by the names that they are installed by, that modules below folders import."""
    nodes = [node for folder in folders for path in (ROOT / folder).rglob("*.py") for node in ast.walk(tree(path))]
    modules = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    modules |= {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module and not node.level}
    tops = {module.partition(".")[0] for module in modules} - sys.stdlib_module_names - OURS
    owners = packages_distributions()
    return {owners[top][0].lower().replace("_", "-") for top in tops}


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def test_what_is_imported_is_declared_and_what_is_declared_is_imported() -> None:
    declared = required(PROJECT["dependencies"])
    optional = required(PROJECT["optional-dependencies"]["postgres"] + PROJECT["optional-dependencies"]["s3"])
    used = imported("src", "migrations")
    assert {PARTS.get(name, name) for name in used} == (declared | optional) - NOT_IMPORTED
    assert PARTS.keys() <= used


def test_pythons_are_named_from_the_first_that_is_needed() -> None:
    named = [each.rpartition(" ")[2] for each in PROJECT["classifiers"] if "Python :: 3." in each]
    assert PROJECT["requires-python"] == f">={named[0]}"
    assert PYPROJECT["tool"]["ruff"]["target-version"] == f"py{named[0].replace('.', '')}"
    assert f"--python-version={named[0]}" in (ROOT / ".constraints" / "renew.py").read_text()


def test_the_version_is_said_once_in_each_place() -> None:
    assert PROJECT["version"] == __version__
    assert (
        "## Unreleased" in (ROOT / "CHANGELOG.md").read_text()
        or f"## {__version__}" in (ROOT / "CHANGELOG.md").read_text()
    )


def test_what_the_makefile_says_of_tests_is_said_of_tests_that_there_are() -> None:
    told = subprocess.run(
        ["make", "--print-data-base", "--question", "help"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    lists = re.findall(r"^(?:ONCE|STATEMENTS|UNIT) := (.+)$", told.stdout, re.MULTILINE)
    assert [name for names in lists for name in names.split() if not (ROOT / name).exists()] == []
    assert len(lists) == 3


def test_the_top_level_stays_short() -> None:
    allowed = {
        *(
            "pyproject.toml",
            "README.md",
            "alembic.ini",
            "migrations",
            "src",
            "tests",
            "docker-compose.yml",
            "Dockerfile",
        ),
        *("Makefile", "LICENSE", "CHANGELOG.md", "CONTRIBUTING.md", "bench", "deploy", "docs"),
    }
    top = {name.split("/")[0] for name in tracked_texts()}
    assert {name for name in top if not name.startswith(".")} <= allowed
