"""What becomes of data that a client put into the bucket by itself, when something goes wrong."""

from __future__ import annotations

import os
import secrets

import httpx2
import pytest

from modelyard.blobs.s3 import direct
from modelyard.blobs.s3.bucket import Bucket, Part
from modelyard.blobs.s3.direct import COPIED_PART_BYTES, MAX_PARTS, S3UploadedData, direct_part_size
from modelyard.blobs.s3.store import S3BlobStore
from modelyard.blobs.store import BlobMissing, StoreUnavailable
from tests.s3 import BUCKET, S3Server

from .tools import sha256

MIB = 1 << 20
SMALL_COPIES = 5 * MIB  # as small as S3 has parts


@pytest.fixture
def prefix() -> str:
    return f"direct/{secrets.token_hex(8)}"


def uploaded(store: S3BlobStore, content: bytes) -> S3UploadedData:
    """Upload as a client does."""
    offer = store.offer_upload(len(content), 60)
    assert offer is not None
    parts = ""
    for number, url in enumerate(offer.part_urls, 1):
        part = content[(number - 1) * offer.part_size : number * offer.part_size]
        etag = httpx2.put(url, content=part).headers["etag"]
        parts += f"<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>"
    body = f"<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>"
    assert httpx2.post(offer.complete_url, content=body).status_code == 200
    return store.uploaded(offer.id)


@pytest.mark.parametrize("size", [1, 16 * MIB, 100 * 10**9, 5 * 10**12])
def test_the_parts_of_an_offer_are_few_and_hold_everything(size: int) -> None:
    part = direct_part_size(size)
    assert part is not None
    assert part <= 5 << 30
    assert -(-size // part) <= MAX_PARTS


@pytest.mark.parametrize(
    ("name", "copied"), [("moto", SMALL_COPIES), ("swift", COPIED_PART_BYTES), ("s3rver", SMALL_COPIES)]
)
@pytest.mark.parametrize("in_parts", [False, True])
def test_published_data_is_a_blob_as_any_other(
    request: pytest.FixtureRequest, prefix: str, name: str, copied: int, in_parts: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(direct, "COPIED_PART_BYTES", copied)
    server: S3Server = request.getfixturevalue(name)
    size = copied + 7 if in_parts else 7
    store, content = server.store(prefix), os.urandom(size)
    data = uploaded(store, content)
    assert (data.size, data.digest()) == (size, sha256(content))
    assert store.stat(data.digest()) is None
    for _ in range(2):
        data.publish()
        with store.open(data.digest()) as reader:
            assert sha256(reader.read(0, size)) == data.digest()
        assert store.delete(data.digest())
    assert store.stat(data.digest()) is None


def test_what_urls_still_lead_to_is_not_what_is_published(swift: S3Server, prefix: str) -> None:
    store = swift.store(prefix)
    data = uploaded(store, b"weights")
    (reachable,) = (key for key in swift.keys(prefix) if key.startswith("data/"))
    data.publish()
    swift.client().delete_object(Bucket=BUCKET, Key=f"{prefix}/{reachable}")
    with store.open(sha256(b"weights")) as reader:
        assert reader.read(0, 7) == b"weights"


def test_data_that_no_client_has_completed_is_missing(moto: S3Server, prefix: str) -> None:
    store = moto.store(prefix)
    offer = store.offer_upload(5, 60)
    assert offer is not None
    with pytest.raises(BlobMissing):
        store.uploaded(offer.id)


def test_a_copy_that_fails_is_aborted(swift: S3Server, prefix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    copy_part = Bucket.copy_part

    def failing(bucket: Bucket, source: str, start: int, stop: int, key: str, upload_id: str, number: int) -> Part:
        if number == 2:
            raise StoreUnavailable("the way is blocked")
        return copy_part(bucket, source, start, stop, key, upload_id, number)

    monkeypatch.setattr(direct, "COPIED_PART_BYTES", SMALL_COPIES)
    data = uploaded(swift.store(prefix), bytes(SMALL_COPIES + 7))
    monkeypatch.setattr(Bucket, "copy_part", failing)
    with pytest.raises(StoreUnavailable, match="the way is blocked"):
        data.publish()
    assert swift.uploads(prefix) == []
    assert sum(key.startswith("data/") for key in swift.keys(prefix)) == 1
