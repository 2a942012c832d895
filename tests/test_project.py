"""The tree itself: what must not be in it, and pins that cover what it needs."""

from __future__ import annotations

import json
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from modelyard import __version__

ROOT = Path(__file__).resolve().parent.parent
PINS = sorted((ROOT / ".constraints").glob("*.txt"))
LOCKS = sorted((ROOT / ".constraints").glob("*/package-lock.json"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def tracked_texts() -> dict[str, str]:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False).stdout.split(
        "\n"
    )
    paths = [ROOT / name for name in listed if name and (ROOT / name).is_file()]
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
