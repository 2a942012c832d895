"""Bodies that are held against the digest that their sender announces of them (RFC 9530's `Content-Digest`)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping

from modelyard.blobs.store import Buffer
from modelyard.errors import BadRequest
from modelyard.services.files.ingest import DigestMismatch
from modelyard.terms.digests import DigestCheck
from modelyard.wire.digests import MalformedDigest, announced_digests


def check_of(headers: Mapping[str, str]) -> DigestCheck | None:
    """What holds a body against its own digest; None where it tells none. Raises BadRequest for one that is none."""
    try:
        _file, body = announced_digests(headers)
    except MalformedDigest as error:
        raise BadRequest(str(error)) from error
    return DigestCheck(body, own_sha256=True) if body else None


async def verified(pieces: AsyncIterator[Buffer], check: DigestCheck | None) -> AsyncIterator[Buffer]:
    """The pieces of a body. Raises DigestMismatch behind the last one, so that whoever takes them has not ended."""
    async for piece in pieces:
        if check is not None:
            check.update(piece)
        yield piece
    if check is not None and not check.matches():
        raise DigestMismatch
