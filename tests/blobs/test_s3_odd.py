"""The store in a bucket of a server that leaves headers out, or answers otherwise: right bytes or StoreUnavailable."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from structlog.testing import capture_logs

from modelyard.blobs.s3 import direct
from modelyard.blobs.s3.answers import UNDATED
from modelyard.blobs.s3.reader import OPENING_BYTES, SCAN_BYTES, scan
from modelyard.blobs.s3.store import S3BlobStore
from modelyard.blobs.s3.writer import FIRST_PART_BYTES
from modelyard.blobs.store import BlobError, StoreUnavailable
from tests.odd_s3 import Odd, OddServer, running_odd

from .test_s3_direct import uploaded
from .tools import CONTENT, put, sha256

MIB = 1 << 20
COPIED_PART_BYTES = 5 * MIB
AT_ONCE = -10.0  # seconds
PREFIX = "odd"

READABLE = (
    (),
    (Odd.WHOLE_IS_200,),
    (Odd.RANGES_IGNORED,),
    (Odd.NO_CONTENT_RANGE,),
    (Odd.NO_TOTAL,),
    (Odd.EQUALS_SIGN,),
    (Odd.EARLIER,),
    (Odd.SHORTER,),
    (Odd.NO_LENGTH,),
    (Odd.NO_LENGTH, Odd.RANGES_IGNORED),
    (Odd.NO_LENGTH, Odd.WHOLE_IS_200),
    (Odd.NO_LENGTH_IN_HEAD,),
    (Odd.NO_LENGTH_IN_HEAD, Odd.NO_CONTENT_RANGE),
    (Odd.NO_LENGTH_IN_HEAD, Odd.NO_LENGTH, Odd.RANGES_IGNORED),
    (Odd.NO_DATES,),
    (Odd.GARBLED_DATES,),
    (Odd.NO_ETAGS,),
    (Odd.FOREIGN_CHECKSUMS,),
)
UNREADABLE = (
    (Odd.LATER,),
    (Odd.OTHER_RANGE_TOLD,),
    (Odd.MANY_RANGES,),
    (Odd.ALWAYS_416,),
    (Odd.GARBLED_LENGTH,),
    (Odd.GARBLED_RANGE, Odd.NO_LENGTH),
    (Odd.NO_CONTENT_RANGE, Odd.NO_LENGTH),
    (Odd.RANGES_IGNORED, Odd.CUT),
    (Odd.CUT,),
    (Odd.BROKEN,),
    (Odd.RANGES_IGNORED, Odd.BROKEN),
    (Odd.COMPRESSED,),
    (Odd.COMPRESSED, Odd.WHOLE_IS_200),
    (Odd.COMPRESSED, Odd.NO_CONTENT_RANGE),
    (Odd.REDIRECTED,),
)
NO_LISTS = (Odd.CUT_LISTS, Odd.SAME_PAGE, Odd.HTML_LISTS, Odd.EMPTY_LISTS, Odd.BROKEN_LISTS, Odd.ENTRIES_WITHOUT_KEYS)
NO_LISTS_OF_UPLOADS = (
    Odd.NO_UPLOADS,
    Odd.UPLOADS_NOT_ALLOWED,
    Odd.UPLOADS_NOT_FOUND,
    Odd.UPLOADS_FORBIDDEN,
    Odd.UPLOADS_ARE_OBJECTS,
    Odd.UPLOADS_ARE_HTML,
    Odd.UPLOADS_ARE_NOTHING,
)


@pytest.fixture(scope="module")
def shared() -> Iterator[OddServer]:
    with running_odd() as server:
        yield server


@pytest.fixture
def odd(shared: OddServer) -> OddServer:
    for kept in (shared.odd, shared.requests, shared.objects, shared.uploads):
        kept.clear()
    return shared


@pytest.fixture
def store(odd: OddServer) -> S3BlobStore:
    return odd.s3.store(PREFIX)


@pytest.fixture
def impatient(odd: OddServer) -> S3BlobStore:
    return odd.s3.store(PREFIX, abandoned_after=AT_ONCE)


def names(oddities: tuple[Odd, ...]) -> str:
    return "+".join(oddities) or "nothing"


def kept_data(odd: OddServer) -> set[str]:
    return {key for key in odd.objects if "/data/" in key}


@pytest.mark.parametrize("oddities", READABLE, ids=names)
@pytest.mark.parametrize("size", [0, 7, OPENING_BYTES + 1, FIRST_PART_BYTES + 1])
def test_bytes_are_the_same_whatever_a_server_leaves_out(
    odd: OddServer, store: S3BlobStore, oddities: tuple[Odd, ...], size: int
) -> None:
    odd.odd = set(oddities)
    content = os.urandom(size)
    digest = put(store, content)
    assert store.stat(digest) == next(store.list())
    with store.open(digest) as reader:
        assert reader.size == size
        assert reader.read(0, size) == content
        for _ in range(10):
            start = random.randrange(size + 1)
            assert reader.read(start, 100_000) == content[start : start + 100_000]
    with store.open(digest) as reader:
        for start in range(0, size, MIB):
            assert reader.read(start, MIB) == content[start : start + MIB]
    (data,) = kept_data(odd)
    with ThreadPoolExecutor(4) as pool:
        assert b"".join(scan(odd.s3.bucket(PREFIX), pool, data.removeprefix(f"{PREFIX}/"), size)) == content


@pytest.mark.parametrize("oddities", UNREADABLE, ids=names)
@pytest.mark.parametrize("size", [7, OPENING_BYTES * 3])
def test_what_may_be_other_bytes_is_refused(
    odd: OddServer, store: S3BlobStore, oddities: tuple[Odd, ...], size: int
) -> None:
    digest = put(store, os.urandom(size))
    (data,) = kept_data(odd)
    odd.odd = set(oddities)

    def read() -> None:
        with store.open(digest) as reader:
            reader.read(0, size)
            reader.read(size // 2, size)

    def scanned() -> None:
        with ThreadPoolExecutor(4) as pool:
            list(scan(odd.s3.bucket(PREFIX), pool, data.removeprefix(f"{PREFIX}/"), size))

    def read_from_the_end() -> None:
        with store.open(digest) as reader:
            reader.read(size - 1, 1)
            reader.read(0, size)

    for use in (read, read_from_the_end, scanned):
        with pytest.raises(StoreUnavailable):
            use()


@pytest.mark.parametrize("oddities", [(Odd.RANGES_IGNORED,), (Odd.RANGES_IGNORED, Odd.NO_LENGTH)], ids=names)
def test_a_server_that_ignores_ranges_is_asked_once_by_who_reads_forwards(
    odd: OddServer, store: S3BlobStore, oddities: tuple[Odd, ...]
) -> None:
    content = os.urandom(5 * SCAN_BYTES + 1)
    digest = put(store, content)
    (data,) = kept_data(odd)
    odd.odd = set(oddities)
    odd.requests.clear()
    with store.open(digest) as reader:
        for start in range(0, len(content), 3 * MIB):
            assert reader.read(start, MIB) == content[start : start + MIB]
    asked = [line for line in odd.requests if line.startswith("GET") and "/data/" in line]
    assert len(asked) == 1
    with ThreadPoolExecutor(4) as pool, capture_logs() as logs:
        assert b"".join(scan(odd.s3.bucket(PREFIX), pool, data.removeprefix(f"{PREFIX}/"), len(content))) == content
    assert [line["event"] for line in logs] == ["the object storage ignores ranges"]


@pytest.mark.parametrize("oddity", [Odd.MISSING_IS_404, Odd.MISSING_IS_BARE_404])
def test_to_delete_what_is_not_there_is_done(odd: OddServer, store: S3BlobStore, oddity: Odd) -> None:
    odd.odd = {oddity}
    store.probe()
    with store.begin() as writer:
        writer.write([CONTENT])
        writer.publish()
        for _ in range(2):
            assert store.delete(writer.digest())
            odd.objects = {key: value for key, value in odd.objects.items() if "/orphans/" not in key}
            writer.publish()
        assert store.stat(writer.digest()) is not None
    odd.s3.bucket(PREFIX).delete("sha256/nothing")


@pytest.mark.parametrize("oddity", NO_LISTS_OF_UPLOADS)
def test_collecting_goes_on_without_a_list_of_uploads_and_says_so(
    odd: OddServer, store: S3BlobStore, impatient: S3BlobStore, oddity: Odd
) -> None:
    store.delete(put(store))
    kept = put(store, b"kept")
    odd.odd = {oddity, Odd.SMALL_PAGES}  # so that a list of other things is not the last page
    for number in range(4):
        odd.s3.bucket(PREFIX).put(f"other/{number}", b"")
    with capture_logs() as logs:
        (leftover,) = impatient.leftovers()
    assert [line["event"] for line in logs] == ["unfinished uploads cannot be looked for"]
    assert impatient.remove_leftover(leftover.name)
    assert [blob.digest for blob in store.list()] == [kept]
    assert len(kept_data(odd)) == 1


@pytest.mark.parametrize("oddity", [Odd.NO_PARTS, Odd.NO_ABORT])
def test_collecting_goes_on_where_uploads_cannot_be_ended_and_says_so(
    odd: OddServer, impatient: S3BlobStore, oddity: Odd
) -> None:
    upload_id = odd.s3.bucket(PREFIX).create_upload(f"data/{'a' * 32}")
    odd.odd = {oddity}
    name = f"upload/{'a' * 32}/{upload_id}"
    with capture_logs() as logs:
        assert [found.name for found in impatient.leftovers()] == ([name] if oddity is Odd.NO_ABORT else [])
        assert not impatient.remove_leftover(name)
    said = {line["event"] for line in logs}
    assert "an unfinished upload cannot be removed" in said
    assert list(odd.uploads) == [upload_id]


@pytest.mark.parametrize("oddity", NO_LISTS)
def test_what_is_no_whole_list_stops_who_needs_it_and_nothing_is_removed(
    odd: OddServer, store: S3BlobStore, impatient: S3BlobStore, oddity: Odd
) -> None:
    for number in range(5):
        put(store, bytes([number]))
    odd.odd = {oddity}
    before = dict(odd.objects)
    for use in (store.list, impatient.leftovers, impatient.leftovers):
        with pytest.raises(StoreUnavailable):
            list(use())
    assert odd.objects == before


def test_keys_that_are_not_what_was_asked_for_stop_who_needs_the_list(odd: OddServer, impatient: S3BlobStore) -> None:
    put(impatient)
    odd.odd = {Odd.ENCODED_KEYS}
    for _ in range(2):
        with pytest.raises(StoreUnavailable, match="is listed among the objects in 'odd/sha256/'"):
            list(impatient.leftovers())
    assert not any("/orphans/" in key for key in odd.objects)


@pytest.mark.parametrize("oddities", [(), (Odd.BARE_LISTS,), (Odd.BARE_LISTS, Odd.NO_ETAGS)], ids=names)
def test_a_list_of_several_pages_is_read_to_its_end(
    odd: OddServer, store: S3BlobStore, oddities: tuple[Odd, ...]
) -> None:
    expected = sorted(put(store, bytes([number])) for number in range(10))
    odd.odd = {Odd.SMALL_PAGES, *oddities}
    assert [blob.digest for blob in store.list()] == expected
    assert list(store.leftovers()) == []


@pytest.mark.parametrize("oddity", [Odd.NO_DATES, Odd.GARBLED_DATES])
def test_what_has_no_date_is_never_old_and_that_is_said_once(
    odd: OddServer, impatient: S3BlobStore, oddity: Odd
) -> None:
    odd.odd = {oddity}
    with capture_logs() as logs:
        digest = put(impatient)
        put(impatient)
        odd.s3.bucket(PREFIX).create_upload(f"data/{'a' * 32}")
        assert [blob.modified for blob in impatient.list()] == [UNDATED]
        assert [list(impatient.leftovers()) for _ in range(2)] == [[], []]
        (replaced,) = (key for key in odd.objects if "/orphans/" in key)
        assert not impatient.remove_leftover(replaced.replace(f"{PREFIX}/orphans", "data"))
    assert [line["event"] for line in logs] == ["the object storage does not date its objects"]
    assert impatient.stat(digest) is not None


def test_parts_have_their_usual_etags_where_none_is_told(odd: OddServer, store: S3BlobStore) -> None:
    odd.odd = {Odd.NO_ETAGS}
    content = os.urandom(2 * FIRST_PART_BYTES)
    digest = put(store, content)  # the server compares the ETags
    with store.open(digest) as reader:
        assert sha256(reader.read(0, len(content))) == digest


def test_an_upload_that_was_completed_at_the_first_try_is_complete(odd: OddServer, store: S3BlobStore) -> None:
    odd.odd = {Odd.COMPLETED_TWICE}
    digest = put(store, bytes(2 * FIRST_PART_BYTES))
    assert store.stat(digest) is not None


@pytest.fixture
def small_copies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Objects are copied in parts that are as small as S3 has them; by those of 64 MiB in test_s3_direct.py."""
    monkeypatch.setattr(direct, "COPIED_PART_BYTES", COPIED_PART_BYTES)


@pytest.mark.usefixtures("small_copies")
@pytest.mark.parametrize("size", [7, COPIED_PART_BYTES + 7])
@pytest.mark.parametrize(
    "oddities",
    [
        (Odd.NO_PARTS,),
        (Odd.PARTS_NOT_FOUND,),
        (Odd.NO_PARTS, Odd.NO_COPIES),
        (Odd.NO_PARTS, Odd.NO_COPIES_OF_PARTS),
        (Odd.NO_PARTS, Odd.NO_COPIES, Odd.RANGES_IGNORED),
    ],
    ids=names,
)
def test_what_urls_may_still_lead_to_is_copied_by_whatever_way_there_is(
    odd: OddServer, store: S3BlobStore, oddities: tuple[Odd, ...], size: int
) -> None:
    odd.odd = set(oddities)
    content = os.urandom(size)
    data = uploaded(store, content)
    (reachable,) = kept_data(odd)
    data.publish()
    assert data.digest() == sha256(content)
    del odd.objects[reachable]
    with store.open(data.digest()) as reader:
        assert reader.read(0, size) == content


@pytest.mark.usefixtures("small_copies")
@pytest.mark.parametrize("size", [7, COPIED_PART_BYTES + 7])
def test_copies_that_a_server_does_not_confirm_are_refused(odd: OddServer, store: S3BlobStore, size: int) -> None:
    data = uploaded(store, bytes(size))
    odd.odd = {Odd.NO_PARTS, Odd.NO_ETAGS}
    if size > COPIED_PART_BYTES:
        with pytest.raises(StoreUnavailable):
            data.publish()
        return
    data.publish()
    assert store.stat(data.digest()) is not None


def test_an_upload_without_an_id_is_refused(odd: OddServer, store: S3BlobStore) -> None:
    odd.odd = {Odd.NO_UPLOAD_ID}
    uses: list[Callable[[], object]] = [
        lambda: put(store, bytes(2 * FIRST_PART_BYTES)),
        lambda: store.offer_upload(7, 9),
    ]
    for use in uses:
        with pytest.raises(BlobError) as refusal:
            use()
        assert type(refusal.value) is StoreUnavailable
    assert odd.objects == {}
