"""Runs in tuspy's environment: `ENDPOINT TOKEN FILE NAME CHUNK URLS [STOP_AT]`; prints the offset that it ends at."""

from __future__ import annotations

import sys

from tusclient.client import TusClient  # type: ignore[import-not-found]
from tusclient.storage.filestorage import FileStorage  # type: ignore[import-not-found]


def main() -> None:
    """Upload a file, going on where an earlier call has stopped."""
    endpoint, token, file, name, chunk, urls, *stop_at = sys.argv[1:]
    client = TusClient(endpoint, headers={"Authorization": f"Bearer {token}"})
    uploader = client.uploader(
        file,
        chunk_size=int(chunk),
        metadata={"path": name},
        retries=40,
        retry_delay=0.5,
        store_url=True,
        url_storage=FileStorage(urls),
        upload_checksum=True,
    )
    sys.stdout.write(f"from {uploader.offset}\n")
    uploader.upload(stop_at=int(stop_at[0]) if stop_at else None)
    sys.stdout.write(f"to {uploader.offset}\n")


main()
