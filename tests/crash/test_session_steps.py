"""A process that dies at a named step of an upload that goes on, to a bucket or in parts: what was told is there."""

from __future__ import annotations

import hashlib
import os
import secrets
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest

from modelyard.blobs.s3 import writer
from tests.crash import dying
from tests.crash.contents import KIB
from tests.crash.test_steps import Mortal
from tests.crash.verify import only_the_unreferenced_goes, upkeep_within
from tests.e2e.processes import new_version
from tests.live import running
from tests.s3 import BUCKET, S3Server
from tests.tus import begun, offset_of, patch

pytestmark = [pytest.mark.slow, pytest.mark.once]


@pytest.mark.parametrize(("step", "survives"), dying.BUCKET_DEATHS)
def test_what_was_told_of_an_upload_to_a_bucket_is_there_and_it_goes_on(
    moto: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, survives: int
) -> None:
    part, prefix = dying.BUCKET_PART_BYTES, secrets.token_hex(8)
    monkeypatch.setattr(writer, "FIRST_PART_BYTES", part)
    monkeypatch.setattr("moto.s3.models.S3_UPLOAD_PART_MIN_SIZE", part)
    content, told = os.urandom(5 * part // 2), 9 * part // 8
    blob_url = f"s3://{BUCKET}/{prefix}"
    variables = {"MODELYARD_BLOB_URL": blob_url, "MODELYARD_S3_ADDRESSING": "path", **moto.environment}
    mortal = Mortal(tmp_path, step, power=False, variables=variables)
    with mortal.serving() as client, client:
        files = new_version(client)
        url = begun(client, files, len(content))
        assert patch(client, url, 0, content[:told]).status_code == 204
        mortal.arm(survives)
        with pytest.raises(httpx2.TransportError):
            patch(client, url, told, content[told:])
    with (
        moto.as_environment(),
        running(tmp_path / "data", blob_url=blob_url, s3_addressing="path") as live,
        live.client(live.root_token) as client,
    ):
        path = url[url.index("/uploads") :]
        offset = offset_of(client, path)
        assert told <= offset <= len(content)
        assert patch(client, path, offset, content[offset:]).status_code == 204
        assert client.get(f"{files}/w.bin").content == content
        run = upkeep_within(live)
        run("gc")
        assert run("check", "--read") == []
    assert moto.uploads(prefix) == []
    assert len(moto.keys(prefix)) == 2  # bytes and reference


CONTENT = [os.urandom(300 * KIB), os.urandom(200 * KIB)]


class Parts:
    """An upload of two parts to a candidate of a new project."""

    def __init__(self, client: httpx2.Client) -> None:
        self.files = new_version(client)
        self._tail = self.files.split("/")[-2]
        self._told = self._ask(client, "create", num_parts=2).json()

    def send(self, client: httpx2.Client, number: int) -> httpx2.Response:
        """Send a part, to whichever port the server has by now."""
        url = urlsplit(self._told["credentials"][number - 1]["url"])
        return client.put(client.base_url.join(f"{url.path}?{url.query}"), content=CONTENT[number - 1])

    def complete(self, client: httpx2.Client) -> httpx2.Response:
        """End it."""
        parts = [
            {"part_number": number, "etag": hashlib.sha256(content).hexdigest(), "url": "x"}
            for number, content in enumerate(CONTENT, 1)
        ]
        return self._ask(client, "complete", upload_id=self._told["upload_id"], parts=parts)

    def _ask(self, client: httpx2.Client, operation: str, **body: object) -> httpx2.Response:
        url = f"/projects/1/ml/mlflow/api/2.0/mlflow-artifacts/mpu/{operation}/{self._tail}"
        return client.post(url, json={"path": "/srv/w.bin", **body})


def ends_well(mortal: Mortal, parts: Parts, *missing: int) -> None:
    """What is missing is sent again, and the file is all that is there."""
    with running(mortal.folder / "data") as live, live.client(live.root_token) as client:
        for number in missing:
            assert parts.send(client, number).status_code == 200
        for _ in range(2):
            done = parts.complete(client)
            assert done.status_code == 200, done.text
        content = b"".join(CONTENT)
        assert client.get(f"{parts.files}/w.bin").content == content
    with running(mortal.folder / "data") as live:  # as the first one has removed the parts by its end
        only_the_unreferenced_goes(live.settings.blob_root, {hashlib.sha256(content).hexdigest()}, upkeep_within(live))


@pytest.mark.parametrize("step", dying.PART_DEATHS)
def test_a_part_whose_server_dies_is_sent_again(tmp_path: Path, step: str) -> None:
    mortal = Mortal(tmp_path, step, power=True)
    with mortal.serving() as client, client:
        parts = Parts(client)
        assert parts.send(client, 2).status_code == 200
        mortal.arm()
        with pytest.raises(httpx2.TransportError):
            parts.send(client, 1)
    ends_well(mortal, parts, 1)


@pytest.mark.parametrize("step", dying.JOIN_DEATHS)
def test_a_completion_whose_server_dies_is_asked_again(tmp_path: Path, step: str) -> None:
    mortal = Mortal(tmp_path, step, power=True)
    with mortal.serving() as client, client:
        parts = Parts(client)
        for number in (1, 2):
            assert parts.send(client, number).status_code == 200
        mortal.arm()
        if step.endswith(dying.UNLINK):  # for which no answer waits
            with suppress(httpx2.TransportError):
                assert parts.complete(client).status_code == 200
        else:
            with pytest.raises(httpx2.TransportError):
                parts.complete(client)
    ends_well(mortal, parts)
