"""Which URL is which store."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from modelyard.blobs.local import LocalBlobStore
from modelyard.blobs.open import open_store
from modelyard.blobs.s3.bucket import Bucket
from modelyard.blobs.s3.connection import Addressing, connect
from modelyard.blobs.s3.store import S3BlobStore
from modelyard.settings import Settings, SettingsError
from tests.s3 import BUCKET, S3Server

from .tools import DIGEST, put


def settings(folder: Path, **values: str) -> Settings:
    return Settings(_env_file=None, **({"data_dir": folder} | values))  # type: ignore[call-arg, arg-type]


def test_by_default_blobs_lie_in_the_data_folder(tmp_path: Path) -> None:
    store = open_store(settings(tmp_path))
    assert isinstance(store, LocalBlobStore)
    assert (tmp_path / "blobs" / "sha256").is_dir()


def test_another_url_may_be_opened_with_the_same_settings(tmp_path: Path) -> None:
    assert isinstance(open_store(settings(tmp_path), f"file://{tmp_path}/other"), LocalBlobStore)
    assert (tmp_path / "other" / "sha256").is_dir()
    assert not (tmp_path / "blobs").exists()


@pytest.mark.parametrize(("path", "prefix"), [("", ""), ("/", ""), ("/a/b/", "a/b/"), ("/a%20b", "a b/")])
def test_a_bucket_and_a_prefix_make_a_store(tmp_path: Path, moto: S3Server, path: str, prefix: str) -> None:
    with moto.as_environment():
        store = open_store(settings(tmp_path, blob_url=f"s3://{BUCKET}{path}", s3_addressing="path"))
    assert isinstance(store, S3BlobStore)
    digest = put(store)
    try:
        moto.client().head_object(Bucket=BUCKET, Key=f"{prefix}sha256/{DIGEST}")
    finally:
        assert store.delete(digest)


@pytest.mark.parametrize(
    ("addressing", "base"),
    [
        ("path", "https://s3.example.com/models/data/x?"),
        ("auto", "https://s3.example.com/models/data/x?"),  # virtual at AWS alone
        ("virtual", "https://models.s3.example.com/data/x?"),
    ],
)
def test_the_bucket_is_named_by_the_path_or_by_the_host(addressing: Addressing, base: str) -> None:
    with S3Server("https://s3.example.com").as_environment():
        bucket = Bucket(connect("eu-north-1", addressing), BUCKET, "")
    assert bucket.presign("get_object", "data/x", 60).startswith(base)


@pytest.mark.parametrize(
    "url",
    ["s3://", "s3:///x", "s3:bucket", "s3://key:secret@bucket", "s3://bucket?x=1", "gs://bucket", "file://x", "/x"],
)
def test_what_names_no_store_is_refused_without_being_repeated(tmp_path: Path, url: str) -> None:
    with pytest.raises(SettingsError, match="is file:///path or s3://bucket/prefix") as refusal:
        open_store(settings(tmp_path), url)
    assert "secret" not in str(refusal.value)


def test_an_endpoint_that_is_none_is_refused(tmp_path: Path) -> None:
    with S3Server("nowhere").as_environment(), pytest.raises(SettingsError, match="Invalid endpoint"):
        open_store(settings(tmp_path, blob_url="s3://bucket"))


def test_the_extra_is_named_where_it_is_missing(tmp_path: Path) -> None:
    script = tmp_path / "without.py"
    script.write_text(
        "import sys\n"
        "sys.modules['boto3'] = None\n"
        "from modelyard.cli import main\n"
        "sys.argv = ['modelyard', 'serve']\n"
        "main()\n"
    )
    done = subprocess.run(
        [sys.executable, script],
        cwd=tmp_path,
        env={"MODELYARD_BLOB_URL": "s3://bucket"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "needs an extra: pip install 'modelyard[s3]'" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_bucket_needs_the_extra_that_knows_buckets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "modelyard.blobs.s3.connection", None)
    with pytest.raises(SettingsError, match=r"s3://b needs an extra: pip install 'modelyard\[s3\]'"):
        open_store(settings(tmp_path, blob_url="s3://b"))
