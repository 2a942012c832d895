"""Uploads that outlive their process, in every store that has them: what was saved is there, and no more."""

from __future__ import annotations

import _hashlib
import hashlib
import os
import secrets
from contextlib import closing
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import pytest

from modelyard.blobs import _sha256
from modelyard.blobs.local import LocalBlobStore
from modelyard.blobs.resumable import Checkpoint, ResumableBlobStore, ResumableWriter
from modelyard.blobs.s3 import resumable as s3_resumable
from modelyard.blobs.s3.store import S3BlobStore
from modelyard.blobs.s3.writer import FIRST_PART_BYTES
from modelyard.blobs.store import BlobMissing, StoreFull
from tests.s3 import S3Server

CONTENT = os.urandom(2 * FIRST_PART_BYTES + 12_345)
CUTS = (0, 1, 4095, 700_000, FIRST_PART_BYTES, FIRST_PART_BYTES + 1, 2 * FIRST_PART_BYTES, len(CONTENT))


def name() -> str:
    return secrets.token_hex(16)


@pytest.fixture(params=["local", "moto", "swift"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ResumableBlobStore:
    if request.param == "local":
        return LocalBlobStore(tmp_path / "blobs")
    server: S3Server = request.getfixturevalue(request.param)
    return server.store(f"resumable/{secrets.token_hex(8)}")


def going_on(store: ResumableBlobStore, checkpoint: Checkpoint) -> ResumableWriter:
    """A writer after a checkpoint, as another process has it: of what was told it knows what is recorded."""
    hold = store.hold(checkpoint.name, new=checkpoint.size == 0)
    assert hold is not None
    return hold.resume(replace(checkpoint, hasher=None))


def joined(before: Checkpoint, after: Checkpoint, generation: int) -> Checkpoint:
    """What is recorded of an upload after another save, for the next generation."""
    parts = [*before.parts, *after.parts]
    return replace(after, parts=parts, generation=generation + 1, previous=generation)


def append(store: ResumableBlobStore, checkpoint: Checkpoint, content: bytes, *, last: bool = True) -> Checkpoint:
    with closing(going_on(store, checkpoint)) as writer:
        writer.write([bytearray(content)])
        return joined(checkpoint, writer.save(last=last), checkpoint.generation)


def publish(store: ResumableBlobStore, checkpoint: Checkpoint) -> str:
    with closing(going_on(store, checkpoint)) as writer:
        digest = writer.digest()
        writer.publish()
        return digest


def content_of(store: ResumableBlobStore, digest: str) -> bytes:
    with store.open(digest) as reader:
        return reader.read(0, reader.size)


@pytest.mark.parametrize("forgets", [False, True])
def test_what_was_saved_in_pieces_becomes_one_blob(
    store: ResumableBlobStore, forgets: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if forgets:
        monkeypatch.setattr(_sha256, "_library", lambda: None)
    checkpoint = Checkpoint(name(), generation=1)
    for start, stop in pairwise(CUTS):
        checkpoint = append(store, checkpoint, CONTENT[start:stop])
        assert checkpoint.size == stop
        assert store.has(checkpoint)
    digest = publish(store, checkpoint)
    assert digest == hashlib.sha256(CONTENT).hexdigest()
    assert content_of(store, digest) == CONTENT
    assert list(store.partials()) == []


def test_what_was_written_but_not_saved_is_written_again(store: ResumableBlobStore) -> None:
    checkpoint = append(store, Checkpoint(name(), generation=1), CONTENT[:1000])
    with closing(going_on(store, checkpoint)) as writer:
        writer.write([b"x" * FIRST_PART_BYTES, b"y" * FIRST_PART_BYTES])
    again = replace(checkpoint, generation=checkpoint.generation + 1, previous=checkpoint.generation)
    checkpoint = append(store, again, CONTENT[1000:])
    assert content_of(store, publish(store, checkpoint)) == CONTENT


def test_an_empty_upload_becomes_an_empty_blob(store: ResumableBlobStore) -> None:
    assert publish(store, Checkpoint(name(), generation=1)) == hashlib.sha256(b"").hexdigest()


def test_a_saved_writer_goes_on(store: ResumableBlobStore) -> None:
    checkpoint = Checkpoint(name(), generation=1)
    with closing(going_on(store, checkpoint)) as writer:
        for start, stop in pairwise(CUTS):
            writer.write([CONTENT[start:stop]])
            checkpoint = replace(joined(checkpoint, writer.save(last=False), 1), generation=1)
        writer.publish()
        digest = writer.digest()
    assert content_of(store, digest) == CONTENT


def test_what_is_discarded_is_gone(store: ResumableBlobStore) -> None:
    checkpoint = append(store, Checkpoint(name(), generation=1), CONTENT[: FIRST_PART_BYTES + 5])
    assert store.has(checkpoint)
    assert store.discard(checkpoint)
    assert not store.has(checkpoint)
    assert store.discard(checkpoint)
    with pytest.raises(BlobMissing):
        publish(store, checkpoint)


def test_a_blob_that_was_published_is_found_again(store: ResumableBlobStore) -> None:
    checkpoint = append(store, Checkpoint(name(), generation=1), CONTENT)
    digest = hashlib.sha256(CONTENT).hexdigest()
    with pytest.raises(BlobMissing):
        store.recover(checkpoint, digest)
    publish(store, checkpoint)
    store.recover(checkpoint, digest)
    assert content_of(store, digest) == CONTENT


def test_data_that_was_completed_but_not_referred_to_becomes_a_blob(moto: S3Server) -> None:
    store = moto.store(f"resumable/{secrets.token_hex(8)}")
    checkpoint = append(store, Checkpoint(name(), generation=1), CONTENT)
    with closing(going_on(store, checkpoint)) as writer:
        assert isinstance(writer, s3_resumable.S3ResumableWriter)
        writer._complete()
    store.recover(checkpoint, digest := hashlib.sha256(CONTENT).hexdigest())
    assert content_of(store, digest) == CONTENT
    with pytest.raises(BlobMissing):
        store.recover(replace(checkpoint, size=5), "0" * 64)


def test_a_bucket_gets_parts_of_5_mib_or_more_and_keeps_the_tail(moto: S3Server) -> None:
    prefix = f"resumable/{secrets.token_hex(8)}"
    store = moto.store(prefix)
    checkpoint = Checkpoint(name(), generation=1)
    for at in range(0, len(CONTENT), 1_500_000):
        checkpoint = append(store, checkpoint, CONTENT[at : at + 1_500_000])
        tails = [key for key in moto.keys(prefix) if key.startswith("tails/")]
        assert len(tails) <= 2  # the last one, and one before it until somebody goes on
    assert [part.size for part in checkpoint.parts] == [FIRST_PART_BYTES, FIRST_PART_BYTES]
    publish(store, checkpoint)
    assert {key.partition("/")[0] for key in moto.keys(prefix)} == {"sha256", "data"}
    assert moto.uploads(prefix) == []


def test_numbers_that_another_may_still_be_using_are_left_out(moto: S3Server) -> None:
    store = moto.store(f"resumable/{secrets.token_hex(8)}")
    checkpoint = append(store, Checkpoint(name(), generation=1), CONTENT[: FIRST_PART_BYTES + 1])
    lost = going_on(store, checkpoint)
    lost.write([b"x" * (2 * FIRST_PART_BYTES)])  # and has neither saved it, nor ended
    later = replace(checkpoint, generation=checkpoint.generation + 1, previous=checkpoint.generation)
    after = append(store, later, CONTENT[FIRST_PART_BYTES + 1 :])
    assert [part.number for part in after.parts] == [1, 2 + s3_resumable.LEFT_OUT]
    digest = publish(store, after)
    lost.close()
    assert content_of(store, digest) == CONTENT


def test_a_bucket_s_writer_wants_to_be_saved_before_it_has_used_such_numbers(
    moto: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = moto.store(f"resumable/{secrets.token_hex(8)}")
    monkeypatch.setattr(s3_resumable, "LEFT_OUT", 2)
    with closing(going_on(store, Checkpoint(name(), generation=1))) as writer:
        assert not writer.due
        writer.write([b"x" * (3 * FIRST_PART_BYTES)])
        assert writer.due
        writer.save(last=False)
        assert not writer.due


def test_an_upload_that_was_cut_too_often_for_a_bucket_is_refused(
    moto: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = moto.store(f"resumable/{secrets.token_hex(8)}")
    monkeypatch.setattr(s3_resumable, "MAX_PARTS", 1)
    with closing(going_on(store, Checkpoint(name(), generation=1))) as writer, pytest.raises(StoreFull):
        writer.write([b"x" * (3 * FIRST_PART_BYTES)])


def test_a_tail_that_is_gone_or_damaged_is_told(moto: S3Server) -> None:
    prefix = f"resumable/{secrets.token_hex(8)}"
    store = moto.store(prefix)
    checkpoint = append(store, Checkpoint(name(), generation=1), CONTENT[:1000])
    (tail,) = moto.keys(prefix)
    moto.bucket(prefix).put(tail, b"other")
    with pytest.raises(BlobMissing):
        going_on(store, checkpoint)
    moto.bucket(prefix).delete(tail)
    with pytest.raises(BlobMissing):
        going_on(store, checkpoint)
    assert not store.has(checkpoint)


def test_a_folder_lets_one_write_at_a_time(tmp_path: Path) -> None:
    store, others = LocalBlobStore(tmp_path), LocalBlobStore(tmp_path)
    checkpoint = append(store, Checkpoint(name(), generation=1), CONTENT[:1000])
    with closing(going_on(store, checkpoint)):
        assert others.hold(checkpoint.name, new=False) is None
        assert not others.discard(checkpoint)
        assert list(others.partials()) == []
    (partial,) = others.partials()
    assert (partial.upload, partial.size) == (checkpoint.name, 1000)
    assert list(others.leftovers()) == []


def test_a_hold_that_is_not_used_leaves_nothing(tmp_path: Path) -> None:
    store = LocalBlobStore(tmp_path)
    hold = store.hold(name(), new=True)
    assert hold is not None
    with hold:
        pass
    hold.release()
    assert list((tmp_path / "incoming").iterdir()) == []


def test_a_folder_s_file_that_is_shorter_than_recorded_is_told(tmp_path: Path) -> None:
    store = LocalBlobStore(tmp_path)
    checkpoint = append(store, Checkpoint(name(), generation=1), CONTENT[:1000])
    (path,) = (tmp_path / "incoming").iterdir()
    os.truncate(path, 999)
    assert not store.has(checkpoint)
    with pytest.raises(BlobMissing):
        going_on(store, checkpoint)


def test_what_another_has_published_is_not_held(tmp_path: Path) -> None:
    store = LocalBlobStore(tmp_path)
    checkpoint = append(store, Checkpoint(name(), generation=1), CONTENT)
    publish(store, checkpoint)
    hold = store.hold(checkpoint.name, new=False)
    assert hold is not None
    with pytest.raises(BlobMissing):
        hold.resume(checkpoint)


@pytest.fixture
def hashers() -> list[_sha256.Hasher]:
    return [_sha256.new_hasher(), _sha256.HashlibHasher()]


def test_hashers_agree_with_hashlib_whatever_the_pieces(hashers: list[_sha256.Hasher]) -> None:
    for hasher in hashers:
        expected = hashlib.sha256()
        for size in (0, 1, 63, 64, 65, 127, 1000, 100_000):
            piece = os.urandom(size)
            for view in (memoryview(piece), memoryview(bytearray(piece))):
                hasher.update(view)
                expected.update(piece)
            assert hasher.hexdigest() == expected.hexdigest()
            assert hasher.copy().hexdigest() == expected.hexdigest()


def test_a_saved_state_goes_on_at_every_length() -> None:
    content = os.urandom(300)
    for cut in range(len(content)):
        hasher = _sha256.new_hasher()
        hasher.update(memoryview(content)[:cut])
        again = _sha256.restored(hasher.save(), cut)
        assert again is not None
        again.update(memoryview(content)[cut:])
        assert again.hexdigest() == hashlib.sha256(content).hexdigest()


def test_a_state_that_is_not_of_so_many_bytes_is_not_used() -> None:
    hasher = _sha256.new_hasher()
    hasher.update(memoryview(b"12345"))
    assert _sha256.restored(hasher.save(), 4) is None
    assert _sha256.restored(b"", 5) is None
    assert _sha256.restored(hasher.save()[:-1], 5) is None
    assert _sha256.HashlibHasher().save() == b""


def test_a_library_that_hashes_otherwise_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    library = _sha256.load_library(_hashlib)

    class Other:
        SHA256_Init = library.SHA256_Init
        SHA256_Final = library.SHA256_Final

        @staticmethod
        def SHA256_Update(context: object, data: object, length: int) -> None:  # noqa: N802 - of C
            library.SHA256_Update(context, data, max(0, length - 1))

    assert _sha256.proven(Other) is None
    with monkeypatch.context() as patched:
        patched.setattr(_sha256.LibcryptoHasher, "save", lambda _hasher: b"of another layout")
        assert _sha256.proven(library) is None
    assert _sha256.proven(library) is library
    with pytest.raises((OSError, AttributeError)):
        _sha256.load_library(SimpleNamespace(__file__="/nothing"))  # type: ignore[arg-type]
    monkeypatch.setattr(_sha256, "load_library", _fail)
    assert _sha256._library.__wrapped__() is None


def _fail(_module: object) -> None:
    raise AttributeError("SHA256_Init")


def test_both_kinds_of_stores_are_resumable(store: ResumableBlobStore) -> None:
    assert isinstance(store, ResumableBlobStore)
    assert store.locks is not isinstance(store, S3BlobStore)
