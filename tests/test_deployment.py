"""Docker files hold: what they name exists, and the image's build steps run. There need be no Docker engine."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from modelyard.cli import cli
from modelyard.routes import health
from modelyard.settings import PREFIX, Settings

ROOT = Path(__file__).resolve().parent.parent
DOCKERFILE = re.sub(r"\\\n\s*", "", (ROOT / "Dockerfile").read_text())
BUILDER, FINAL = DOCKERFILE.split("\nFROM ")[1:]
PORT = str(Settings.model_fields["port"].default)


def instructions(stage: str, name: str) -> list[str]:
    return re.findall(rf"^{name} (.*)$", stage, re.MULTILINE)


def compose() -> dict[str, Any]:
    return dict(yaml.safe_load((ROOT / "docker-compose.yml").read_text()))


def names_setting(variable: str) -> bool:
    return not variable.startswith(PREFIX) or variable.removeprefix(PREFIX).lower() in Settings.model_fields


def test_every_path_that_is_copied_exists_and_is_not_ignored() -> None:
    allowed = {line.lstrip("!") for line in (ROOT / ".dockerignore").read_text().splitlines() if line[0] == "!"}
    for line in instructions(BUILDER, "COPY"):
        for source in line.split()[:-1]:
            assert (ROOT / source).exists(), source
            assert source in allowed or f"{Path(source).parent}/*.txt" in allowed, source


def test_every_variable_is_a_setting() -> None:
    variables = re.findall(r"([A-Z_]+)=", " ".join(instructions(FINAL, "ENV")))
    service = compose()["services"]["modelyard"]
    substituted = re.findall(r"\$\{([A-Z_]+)", (ROOT / "docker-compose.yml").read_text())
    assert "MODELYARD_DATA_DIR" in variables
    assert all(map(names_setting, [*variables, *service["environment"], *substituted]))


def test_the_command_exists() -> None:
    entry, command = (json.loads(instructions(FINAL, name)[0]) for name in ("ENTRYPOINT", "CMD"))
    assert entry == ["modelyard"]
    assert command[0] in cli.commands


def test_ports_agree() -> None:
    service = compose()["services"]["modelyard"]
    assert instructions(FINAL, "EXPOSE") == [PORT]
    assert f"MODELYARD_PORT={PORT}" in DOCKERFILE
    assert service["ports"] == [f"{PORT}:{PORT}"]
    assert f"127.0.0.1:{PORT}/-/health" in instructions(FINAL, "HEALTHCHECK")[0]


def test_the_healthcheck_asks_a_route_that_exists() -> None:
    assert "/-/health" in {getattr(route, "path", None) for route in health.router.routes}


def test_the_volume_is_the_data_folder_and_its_user_is_nobody_special() -> None:
    data = instructions(FINAL, "VOLUME")[0]
    assert f"MODELYARD_DATA_DIR={data}" in DOCKERFILE
    assert compose()["services"]["modelyard"]["volumes"] == [f"data:{data}"]
    assert "data" in compose()["volumes"]
    assert int(instructions(FINAL, "USER")[0]) > 0


def test_compose_needs_no_variable_to_be_set() -> None:
    assert all(":-" in use for use in re.findall(r"\$\{[^}]*\}", (ROOT / "docker-compose.yml").read_text()))


def test_a_stop_waits_longer_than_transfers_may_take() -> None:
    grace = compose()["services"]["modelyard"]["stop_grace_period"]
    assert int(grace.removesuffix("s")) > Settings.model_fields["shutdown_timeout"].default


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_build_steps_of_the_image_run_in_a_clean_folder(tmp_path: Path) -> None:
    source, opt = tmp_path / "src", tmp_path / "opt"
    for line in instructions(BUILDER, "COPY"):
        *sources, target = line.split()
        for each in sources:
            _copy(ROOT / each, source / target / Path(each).name if target.endswith("/") else source / target)
    script = "\n".join(["set -eu", *instructions(BUILDER, "RUN")])
    script = script.replace("/opt/", f"{opt}/").replace("/src/", f"{source}/")
    script = re.sub(r"(?m)^python ", f"{sys.executable} ", script)
    environment = os.environ | {"PIP_QUIET": "1"}
    subprocess.run(["bash", "-c", script], cwd=source, env=environment, check=True, capture_output=True)
    installed = opt / "modelyard" / "bin" / "modelyard"
    for command in ("--version", "migrate"):
        done = subprocess.run(
            [installed, command], cwd=tmp_path, env={"PATH": ""}, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "data" / "root-token").stat().st_mode & 0o777 == 0o600


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        target = target / source.name if target.is_dir() else target
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, target)
