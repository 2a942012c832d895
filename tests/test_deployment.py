"""Docker files hold: what they name exists, and the image's build steps run. There need be no Docker engine."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from modelyard.cli import cli
from modelyard.routes.operations import health
from modelyard.settings import PREFIX, Settings, load_settings
from modelyard.terms.paths import HEALTH
from tests import tools
from tests.commands import COMMAND, Command, environment_of, finished
from tests.ports import free_port
from tests.s3 import S3Server
from tests.waiting import eventually

ROOT = Path(__file__).resolve().parent.parent
DOCKERFILE = re.sub(r"\\\n\s*", "", (ROOT / "Dockerfile").read_text())
BUILDER, FINAL = DOCKERFILE.split("\nFROM ")[1:]
REPLICAS = ("modelyard-1", "modelyard-2", "modelyard-3")
SECRET = re.compile("PASSWORD|SECRET|TOKEN|KEY")
PARSE = "import sys, compose_spec; print(*compose_spec.PyCompose.from_json(sys.stdin.read()).service_names())"
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
    services = compose()["services"]
    given = [name for service in ("modelyard", *REPLICAS) for name in services[service]["environment"]]
    substituted = re.findall(r"\$\{([A-Z_]+)", (ROOT / "docker-compose.yml").read_text())
    assert "MODELYARD_DATA_DIR" in variables
    assert all(map(names_setting, [*variables, *given, *substituted]))


def test_the_command_exists() -> None:
    entry, command = (json.loads(instructions(FINAL, name)[0]) for name in ("ENTRYPOINT", "CMD"))
    assert entry == ["modelyard"]
    assert command[0] in cli.commands


def test_ports_agree() -> None:
    service = compose()["services"]["modelyard"]
    assert instructions(FINAL, "EXPOSE") == [PORT]
    assert f"MODELYARD_PORT={PORT}" in DOCKERFILE
    assert service["ports"] == [f"{PORT}:{PORT}"]


HEALTHCHECK = json.loads(instructions(FINAL, "HEALTHCHECK")[0].partition(" CMD ")[2])


def test_the_healthcheck_asks_a_route_that_exists() -> None:
    assert HEALTH in {getattr(route, "path", None) for route in health.router.routes}


@pytest.mark.slow
@pytest.mark.parametrize("variables", [{}, {"MODELYARD_HOST": "127.0.0.2"}, {"MODELYARD_HOST": "*"}], ids=str)
def test_the_healthcheck_finds_the_server_past_a_proxy_wherever_it_listens(
    tmp_path: Path, variables: dict[str, str]
) -> None:
    """With the variables of the image, those of its user, and those that Docker gives to every container."""
    image = dict(each.split("=", 1) for each in instructions(FINAL, "ENV")[0].split() if each.startswith(PREFIX))
    image |= {"MODELYARD_DATA_DIR": str(tmp_path / "data"), "MODELYARD_PORT": f"{free_port()}\n"} | variables
    proxies = dict.fromkeys(("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY"), "http://127.0.0.1:9")
    environment = environment_of(tmp_path, image | proxies)
    assert HEALTHCHECK[0] == COMMAND.name
    ask = partial(finished, HEALTHCHECK[1:], cwd=tmp_path, env=environment)
    before = ask()
    assert (before.returncode, before.stdout, before.stderr.count("\n")) == (1, "", 1)
    with Command(("serve",), cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL) as process:
        try:
            eventually(lambda: ask().returncode == 0, 60)
            assert ask().stdout == "modelyard OK\n"
        finally:
            process.terminate()


def test_other_containers_are_asked_past_a_proxy() -> None:
    services = compose()["services"]
    asked_by_wget = [
        each["healthcheck"]["test"] for each in services.values() if "wget" in str(each.get("healthcheck"))
    ]
    assert len(asked_by_wget) == 2
    assert all("--proxy=off" in test for test in asked_by_wget)
    for name in (*REPLICAS, "bucket"):
        environment = services[name]["environment"]
        host = urlsplit(environment["AWS_ENDPOINT_URL_S3"]).hostname
        assert environment["NO_PROXY"] == environment["no_proxy"] == host
        assert host in services


def test_the_volume_is_the_data_folder_and_its_user_is_nobody_special() -> None:
    data = instructions(FINAL, "VOLUME")[0]
    assert f"MODELYARD_DATA_DIR={data}" in DOCKERFILE
    assert compose()["services"]["modelyard"]["volumes"] == [f"data:{data}"]
    assert "data" in compose()["volumes"]
    assert int(instructions(FINAL, "USER")[0]) > 0


def test_compose_needs_no_variable_to_be_set() -> None:
    assert all(":-" in use for use in re.findall(r"\$\{[^}]*\}", (ROOT / "docker-compose.yml").read_text()))


def test_a_stop_waits_longer_than_transfers_may_take() -> None:
    for name in ("modelyard", *REPLICAS):
        service = compose()["services"][name]
        taken = sum(
            service["environment"].get(f"MODELYARD_{setting.upper()}", Settings.model_fields[setting].default)
            for setting in ("shutdown_delay", "shutdown_timeout")
        )
        assert int(service["stop_grace_period"].removesuffix("s")) > taken + 1


def test_a_parser_of_the_compose_specification_takes_the_file() -> None:
    environment = os.environ | {"PYTHONPATH": str(tools.unpacked("compose-spec"))}
    command = [sys.executable, "-c", PARSE]
    for changed, valid in ((compose(), True), (compose() | {"services": {"x": {"image": "x", "restart": 1}}}, False)):
        done = subprocess.run(
            command, input=json.dumps(changed), env=environment, capture_output=True, text=True, check=False
        )
        assert (done.returncode == 0) is valid, done.stderr
        assert set(done.stdout.split()) == (set(compose()["services"]) if valid else set())


def test_one_machine_is_what_starts_without_a_profile() -> None:
    services = compose()["services"]
    assert {name for name, service in services.items() if "profiles" not in service} == {"modelyard"}
    assert {*services} - {"modelyard"} == {*REPLICAS, "bucket", "postgres", "s3", "nginx"}
    for service in services.values():
        for other in service.get("depends_on", {}):
            assert services[other]["profiles"] == service["profiles"]


def test_images_of_others_are_pinned_and_watched() -> None:
    for name, service in compose()["services"].items():
        if "build" not in service:
            assert re.search(r":v?\d+\.\d+(\.\d+)?(-\w+)?$", service["image"]), name
            assert service["healthcheck"]["test"][0] == "CMD"


def test_no_secret_is_in_the_file() -> None:
    for service in compose()["services"].values():
        for name, value in service["environment"].items() if "environment" in service else ():
            if SECRET.search(name):
                assert re.fullmatch(r"\$\{[A-Z0-9_]+:-\}", value), name


def test_nginx_knows_the_replicas_and_finds_its_file() -> None:
    nginx = compose()["services"]["nginx"]
    source, target, _mode = nginx["volumes"][0].split(":")
    text = (ROOT / source).read_text()
    assert target == "/etc/nginx/nginx.conf"
    assert re.findall(r"server ([\w-]+):(\d+) ", text) == [(name, PORT) for name in REPLICAS]
    assert set(nginx["depends_on"]) == set(REPLICAS)
    delay = compose()["services"]["modelyard-1"]["environment"]["MODELYARD_SHUTDOWN_DELAY"]
    assert int(re.findall(r"^ +keepalive_timeout (\d+)s;", text, re.MULTILINE)[0]) < delay


def test_the_settings_of_a_replica_are_good(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name, value in compose()["services"]["modelyard-1"]["environment"].items():
        default = re.fullmatch(r"\$\{\w+:-(.*)\}", str(value))
        monkeypatch.setenv(name, default[1] if default else str(value))
    settings = load_settings()
    assert (settings.effective_blob_url, settings.shutdown_delay) == ("s3://models", 5)


def test_the_bucket_is_made_once_and_a_secret_that_is_missing_is_named(moto: S3Server) -> None:
    (code,) = compose()["services"]["bucket"]["command"]
    elsewhere = code.replace('"models"', '"elsewhere"')  # other tests have filled the one of that name
    assert elsewhere != code
    secrets = {"MODELYARD_ROOT_TOKEN": "x", "PGPASSWORD": "x"}

    def run(environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", elsewhere], env=environment, capture_output=True, text=True, check=False
        )

    incomplete = run(moto.environment | {"AWS_SECRET_ACCESS_KEY": ""} | {"PGPASSWORD": "x"})
    assert (incomplete.returncode, incomplete.stderr) == (1, "set in .env: MODELYARD_ROOT_TOKEN, S3_SECRET_KEY\n")
    for _ in range(2):
        made = run(moto.environment | secrets)
        assert made.returncode == 0, made.stderr
    assert [each["Name"] for each in moto.client().list_buckets()["Buckets"]].count("elsewhere") == 1


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
    environment = os.environ | {"PIP_QUIET": "1", "PIP_NO_COMPILE": "1"}  # little of it is run here
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
