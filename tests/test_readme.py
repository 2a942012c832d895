"""The README and `docs/` hold: every shell block runs, every setting is there, and every link leads somewhere."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from modelyard.cli import cli
from tests import settings_page
from tests.commands import environment_of
from tests.databases import ON_POSTGRESQL, database_url
from tests.documents import DOCUMENTS, EVERYTHING, README, ROOT
from tests.live import running
from tests.shell_commands import forked_commands


@pytest.mark.slow
def test_every_shell_block_runs_against_a_live_server(tmp_path: Path) -> None:
    blocks = re.findall(r"^```sh\n(.*?)^```", EVERYTHING, re.MULTILINE | re.DOTALL)
    if ON_POSTGRESQL:  # a folder of its own does not bring a database of its own along
        empty = database_url(tmp_path / "restored", migrated=False)
        where = next(number for number, block in enumerate(blocks) if "modelyard restore" in block)
        blocks[where] = f"(export MODELYARD_DATABASE_URL='{empty}'\n{blocks[where]})"
    assert len(blocks) > 8
    with running(tmp_path / "data") as live, forked_commands() as commands:
        script = "\n".join(["set -euo pipefail", *blocks]).replace("http://127.0.0.1:8080", live.url)
        environment = environment_of(tmp_path)
        environment |= {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path / ".config")}  # where myd keeps tokens
        environment |= {"XDG_STATE_HOME": str(tmp_path / ".state"), "XDG_CACHE_HOME": str(tmp_path / ".cache")}
        environment["PATH"] = f"{commands}:{Path(sys.executable).parent}:{environment['PATH']}"
        done = subprocess.run(
            ["bash", "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
    assert done.returncode == 0, done.stderr[-2000:]
    assert '"MaximumSize"' in done.stdout
    assert (tmp_path / "ada.token").read_text().startswith("myd_")


# The chapter on MLflow is run by tests/e2e/test_mlflow_chapter.py, in the environment of a real client.
def test_every_fenced_block_is_run_or_a_console_session() -> None:
    assert set(re.findall(r"^```(\w+)$", EVERYTHING, re.MULTILINE)) == {"sh", "console", "bash", "python", "yaml"}


def test_every_example_in_yaml_can_be_read_and_its_arguments_are_those_of_a_command() -> None:
    examples = [
        yaml.safe_load(block) for block in re.findall(r"^```yaml\n(.*?)^```", EVERYTHING, re.MULTILINE | re.DOTALL)
    ]
    (job,) = [example for example in examples if example.get("kind") == "CronJob"]
    (container,) = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    command, *arguments = container["args"]
    assert cli.commands[command].make_context(command, arguments).params["read"]


def test_every_make_target_that_is_named_exists() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"make ([a-z]+) ", EVERYTHING)) | set(re.findall(r"`make ([a-z]+)`", EVERYTHING))
    assert {"serve", "test", "check"} <= named <= targets


def test_the_table_of_settings_is_made_of_them() -> None:
    text = settings_page.PAGE.read_text()
    assert text == settings_page.page(text), "python -m tests.settings_page writes it"


def test_every_page_is_found_from_the_readme_and_every_link_leads_somewhere() -> None:
    links = {
        (name, ROOT / Path(name).parent / target.partition("#")[0])
        for name, text in DOCUMENTS.items()
        for target in re.findall(r"\]\(([^)]+)\)", text)
        if not target.startswith("https://")
    }
    assert {str(target) for _name, target in links if not target.exists()} == set()
    linked = {target for name, target in links if name == "README.md"}
    assert {ROOT / name for name in DOCUMENTS} - {ROOT / "README.md"} <= linked
    pages = {path.name for path in (ROOT / "docs").glob("*.*")}
    assert pages == {Path(name).name for name in DOCUMENTS} - {"README.md"}


def test_every_link_to_a_heading_finds_it() -> None:
    written = DOCUMENTS | {"CONTRIBUTING.md": (ROOT / "CONTRIBUTING.md").read_text()}
    named = [
        (ROOT / Path(name).parent / path if path else ROOT / name, heading)
        for name, text in written.items()
        for path, heading in re.findall(r"\]\(([^)#:]*)#([^)]+)\)", text)
    ]
    assert len(named) >= 2
    assert [f"{page}#{heading}" for page, heading in named if heading not in anchors(page.read_text())] == []


def anchors(text: str) -> set[str]:
    """What a page's headings are linked by."""
    headings: list[str] = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_what_the_architecture_names_is_in_the_code() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    paths, elsewhere = [f"/{path}" for path in listed], {"incoming/", "myd"}  # a store's folder, and a command
    names = defined_names() | {Path(path).stem for path in paths} | {part for path in paths for part in path.split("/")}
    told = set(re.findall(r"`([\w./]+)`", DOCUMENTS["docs/architecture.md"])) - elsewhere
    whole = {name for name in told if any(f"/{name}" in path for path in paths)}
    assert {name for name in told - whole if not names.issuperset(re.split(r"[./]", name))} == set()
    assert len(told) > 200


def defined_names() -> set[str]:
    """Functions, classes, arguments and what is assigned, in all of our modules."""
    nodes = [node for path in (ROOT / "src").rglob("*.py") for node in ast.walk(ast.parse(path.read_text()))]
    made = {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)}
    made |= {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    return made | {node.arg for node in nodes if isinstance(node, ast.arg)}


def test_the_readme_is_short_enough_to_be_read() -> None:
    assert len(README.splitlines()) <= 200
