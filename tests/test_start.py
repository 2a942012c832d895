"""A start: what it takes from the environment."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.e2e.processes import new_version, serving
from tests.s3 import BUCKET, S3Server

CONTENT = os.urandom(3000)


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
