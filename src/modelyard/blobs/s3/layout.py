"""What lies under which key, and how a digest leads to its bytes.

    data/<id>          the bytes of one blob, under a random id that is never used again
    sha256/<digest>    a reference: a small JSON object that names the data of that digest and its size
    tails/<id>/<n>     what no part is full of yet, of an upload to that id that will go on
    orphans/<id>       a note that nothing referred to the data at the time when the note was last written

A blob is committed by its reference. The digest is known only when the last byte has passed, so the bytes need a first
key without it; S3 cannot rename, and to copy them to a second key would move every byte once more, part by part above
5 GiB, on servers that are not AWS at the full price of reading and writing. To write a reference costs one small PUT
whatever the size of the blob, is atomic without conditional requests, and lets data that a client uploaded by itself
become a blob where it lies. Its price is one more small GET when a blob is opened that was not opened or written a
minute ago (`remembered`).

References are the only objects that are ever replaced. Data is never written twice, and stays for as long as
`Orphans` says after its reference went elsewhere, so whoever reads it reads on.
"""

from __future__ import annotations

import json
import re
import secrets
from dataclasses import dataclass

from modelyard.blobs.s3.answers import KeyMissing
from modelyard.blobs.s3.bucket import Bucket
from modelyard.blobs.store import Digest, StoreUnavailable

DATA = "data/"
REFERENCES = "sha256/"
ORPHANS = "orphans/"
TAILS = "tails/"
PROBES = "probes/"
PROBE = "probes/readiness"  # of all processes: however often one dies in between, one object is left

_ID = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class Reference:
    """Where the bytes of a digest lie: the id of the data, its size in bytes."""

    data_id: str
    size: int

    def encoded(self) -> bytes:
        """As it is stored."""
        return json.dumps({"data": self.data_id, "size": self.size}).encode()

    @classmethod
    def decoded(cls, digest: Digest, text: bytes) -> Reference:
        """The reference that was stored for a digest. Raises StoreUnavailable where it is damaged."""
        try:
            values = json.loads(text)
            found = cls(values["data"], values["size"])
        except (ValueError, KeyError, TypeError) as error:
            raise StoreUnavailable(f"the reference of {digest} is damaged") from error
        if not is_data_id(found.data_id) or not isinstance(found.size, int):
            raise StoreUnavailable(f"the reference of {digest} is damaged")
        return found


def new_data_id() -> str:
    """An id that no data has had."""
    return secrets.token_hex(16)


def is_data_id(name: object) -> bool:
    """Whether `name` is one that `new_data_id` may have given."""
    return isinstance(name, str) and _ID.fullmatch(name) is not None


def refer(bucket: Bucket, digest: Digest, reference: Reference) -> None:
    """Make the data the blob of that digest, in place of what was."""
    bucket.put(REFERENCES + digest, reference.encoded())
    bucket.remembered.put(digest, reference)


def referred(bucket: Bucket, digest: Digest) -> tuple[Reference, float] | None:
    """The reference of a digest and when it was written, in seconds since 1970; None where there is none."""
    try:
        text, modified = bucket.get(REFERENCES + digest)
    except KeyMissing:
        bucket.remembered.forget(digest)
        return None
    reference = Reference.decoded(digest, text)
    bucket.remembered.put(digest, reference)
    return reference, modified


def restore(bucket: Bucket, digest: Digest, reference: Reference) -> None:
    """Refer to the data again if nothing is the blob of that digest any more. Raises StoreUnavailable if it is gone."""
    if referred(bucket, digest) is None:
        bucket.head(DATA + reference.data_id)
        refer(bucket, digest, reference)
        bucket.delete(ORPHANS + reference.data_id)
