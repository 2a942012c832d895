"""A start: what it takes from the environment, and that whatever stops it is said in one line."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import httpx2
import pytest

from tests.commands import environment_of, finished
from tests.databases import ON_POSTGRESQL
from tests.e2e.processes import new_version, serving
from tests.s3 import BUCKET, S3Server

CONTENT = os.urandom(3000)
IN_BUCKET = {"MODELYARD_BLOB_URL": f"s3://{BUCKET}", "AWS_EC2_METADATA_DISABLED": "true"}
NO_UTF_8 = os.fsdecode(b"\xff")


def started(folder: Path, variables: Mapping[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """A server that is expected to end by itself."""
    return finished(("serve", "--port", "0", *arguments), cwd=folder, env=environment_of(folder, variables))


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        (IN_BUCKET | {"AWS_PROFILE": "nope"}, "The config profile (nope) could not be found"),
        (IN_BUCKET | {"AWS_CONFIG_FILE": "broken"}, "Unable to parse config file"),
        (IN_BUCKET | {"AWS_CONFIG_FILE": "no-text"}, "Unable to parse config file"),
        (IN_BUCKET | {"AWS_SHARED_CREDENTIALS_FILE": "broken"}, "Unable to parse config file"),
        (IN_BUCKET | {"AWS_ACCESS_KEY_ID": "x"}, "Partial credentials found in env"),
        (IN_BUCKET | {"AWS_DEFAULTS_MODE": "x"}, "invalid defaults mode"),
        (IN_BUCKET | {"AWS_ENDPOINT_URL": "nowhere"}, "Invalid endpoint"),
        (IN_BUCKET | {"AWS_SECRET_ACCESS_KEY": "a\nb"}, "AWS_SECRET_ACCESS_KEY: must not have control characters"),
        (IN_BUCKET | {"AWS_REGION": "a b"}, "Provided region_name"),
        ({"MODELYARD_BLOB_URL": "s3://a bucket"}, "the URL of a blob store is"),
        ({"MODELYARD_BLOB_URL": "s3://[x"}, "the URL of a blob store is"),
        ({"MODELYARD_BLOB_URL": f"file:///tmp/{NO_UTF_8}"}, "MODELYARD_BLOB_URL: must be UTF-8"),
        ({"MODELYARD_DATA_DIR": NO_UTF_8}, "MODELYARD_DATA_DIR: must be UTF-8"),
        ({"MODELYARD_DATA_DIR": "a\nb"}, "MODELYARD_DATA_DIR: must not have control characters"),
        ({"MODELYARD_DATA_DIR": "file"}, "Not a directory"),
        ({"MODELYARD_DATA_DIR": "a" * 300}, "File name too long"),
        ({"MODELYARD_DATABASE_URL": "postgresql+psycopg://u:se/cret@db:x/db"}, "the database's URL cannot be read"),
        ({"MODELYARD_DATABASE_URL": "sqlite:///db?timeout=soon"}, "the database's URL cannot be read"),
        ({"MODELYARD_DATABASE_URL": "postgresql+psycopg://localhost:1/db?nope=1"}, 'invalid connection option "nope"'),
        ({"MODELYARD_DATABASE_URL": "postgresql+psycopg://localhost:1/db?connect_timeout=x"}, "connect_timeout"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_whatever_stops_a_start_is_said_in_one_line(
    tmp_path: Path, variables: Mapping[str, str], sentence: str
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "broken").write_text("[default\nx")
    (tmp_path / "no-text").write_bytes(b"[default]\nregion = \xff\n")
    nothing = {"AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null"}
    done = started(tmp_path, nothing | dict(variables))
    *before, last = done.stderr.splitlines()
    assert done.returncode in (1, 2)
    assert done.stdout == ""
    assert last.startswith("modelyard: ")
    assert sentence in last
    assert not any("Traceback" in line for line in before)
    assert "se/cret" not in done.stderr


def test_credentials_that_cannot_be_had_stop_a_server_without_a_traceback(tmp_path: Path) -> None:
    role = {"AWS_WEB_IDENTITY_TOKEN_FILE": "none", "AWS_ROLE_ARN": "arn:aws:iam::1:role/a-role-of-nobody"}
    done = started(tmp_path, IN_BUCKET | role)
    assert done.returncode == 1
    assert "No such file or directory: 'none'" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(ON_POSTGRESQL, reason="a file of SQLite's is quickly made")
def test_a_migration_that_fails_stops_a_start_in_one_line_and_leaves_the_database(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    with closing(sqlite3.connect(tmp_path / "data" / "modelyard.db")) as database:
        database.execute("CREATE TABLE users (of_another_program TEXT)")
    done = started(tmp_path, {})
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines()[-1] == "modelyard: database: table users already exists"
    with closing(sqlite3.connect(tmp_path / "data" / "modelyard.db")) as database:
        assert database.execute("SELECT name FROM sqlite_master").fetchall() == [("users",)]


@pytest.mark.parametrize("workers", ["1", "2"])
def test_variables_of_the_libraries_below_stop_nothing(tmp_path: Path, workers: str) -> None:
    variables = {"PROMETHEUS_MULTIPROC_DIR": "/nowhere", "WEB_CONCURRENCY": "many", "FORWARDED_ALLOW_IPS": "*"}
    with serving(tmp_path, "--workers", workers, environment=variables) as server:
        assert httpx2.get(f"http://127.0.0.1:{server.port}/metrics").status_code == 200


def test_a_line_end_after_the_external_url_does_not_reach_the_headers(tmp_path: Path) -> None:
    variables = {"MODELYARD_EXTERNAL_URL": " https://models.example.com/registry/ \n", "MODELYARD_PORT": "1\n"}
    with serving(tmp_path, environment=variables) as server, server.client as client:
        files = new_version(client)
        answer = client.put(f"{files}/a", content=CONTENT)
        assert answer.status_code == 201
        assert answer.headers["location"] == f"https://models.example.com/registry/api/v4{files}/a"
        assert client.get(f"{files}/a").content == CONTENT


@pytest.mark.parametrize("redirect", ["false", "true\n"])
def test_a_line_end_after_what_boto3_reads_does_not_reach_the_bucket(
    tmp_path: Path, moto: S3Server, redirect: str
) -> None:
    variables = {name: f" {value}\n" for name, value in moto.environment.items()}
    variables |= {"MODELYARD_BLOB_URL": f"s3://{BUCKET}/start\n", "MODELYARD_S3_REDIRECT": redirect, "AWS_PROFILE": ""}
    variables |= {"MODELYARD_S3_ADDRESSING": "path\n", "AWS_SESSION_TOKEN": " "}
    with serving(tmp_path, environment=variables) as server, server.client as client:
        files = new_version(client)
        assert client.put(f"{files}/a", content=CONTENT).status_code == 201
        assert client.get(f"{files}/a", follow_redirects=True).content == CONTENT


@pytest.mark.skipif(ON_POSTGRESQL, reason="one database is enough to say it")
@pytest.mark.parametrize("arguments", [["migrate"], ["check"], ["gc"], ["user", "create", "ada"]], ids=" ".join)
def test_other_commands_say_it_in_one_line_too(tmp_path: Path, arguments: list[str]) -> None:
    done = finished(arguments, cwd=tmp_path, env=environment_of(tmp_path, {"MODELYARD_DATA_DIR": NO_UTF_8}))
    assert (done.returncode, done.stderr) == (2, "modelyard: MODELYARD_DATA_DIR: must be UTF-8\n")


UNUSED = {"alembic", "jinja2", "lark", "pydantic.v1", "pygments", "rich"}


def test_a_start_loads_and_builds_nothing_that_no_request_has_asked_for(tmp_path: Path) -> None:
    """Where rich is installed, structlog would load it, and have it draw tracebacks for seconds."""
    program = f"""
import atexit, sys
from modelyard.cli.entry import main

@atexit.register
def tell():
    from modelyard.app import ROUTERS
    from modelyard.routes.http.params import Parameters
    print(sorted(name for name in {UNUSED} if sys.modules.get(name)))
    print([route.path for module in ROUTERS for route in module.router.routes if "dependant" in vars(route)])
    print([model.__name__ for model in Parameters.__subclasses__() if model.__pydantic_complete__])

sys.argv[1:] = ["serve"]
main()
"""
    environment = environment_of(tmp_path, {"MODELYARD_DATA_DIR": NO_UTF_8})  # which ends it when all is imported
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "[]\n" * 3), done.stderr
