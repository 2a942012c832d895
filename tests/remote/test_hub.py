"""Hugging Face's downloads where the bytes lie in a bucket that clients are sent to."""

from __future__ import annotations

from urllib.parse import urlsplit

import httpx2
import pytest

from tests.live import LiveServer

from .conftest import version_files

CONTENT = b"weights" * 1000


@pytest.mark.parametrize("s3", ["moto"], indirect=True)
def test_get_leads_to_the_bucket_and_head_never_does(redirecting: LiveServer) -> None:
    with redirecting.client(redirecting.root_token) as root:
        files = version_files(root)
        root.put(f"{files}/f", content=CONTENT)
        path = root.get(f"/projects/{files.split('/')[2]}").json()["path_with_namespace"]
    headers = {"Authorization": f"Bearer {redirecting.root_token}"}
    with httpx2.Client(base_url=redirecting.url, headers=headers) as hub:
        head = hub.head(f"/{path}/resolve/main/f")
        assert (head.status_code, head.headers["content-length"]) == (200, str(len(CONTENT)))
        sent = hub.get(f"/{path}/resolve/main/f")
        assert sent.status_code == 302
        for name in ("x-repo-commit", "x-linked-etag", "x-linked-size"):
            assert sent.headers[name] == head.headers[name]
        assert urlsplit(sent.headers["location"]).netloc != urlsplit(redirecting.url).netloc
        assert httpx2.get(sent.headers["location"], headers={"Range": "bytes=-7"}).content == b"weights"
        same = hub.get(f"/{path}/resolve/main/f", headers={"If-None-Match": head.headers["etag"]})
        assert (same.status_code, "location" in same.headers) == (304, False)
        missing = hub.get(f"/{path}/resolve/main/g")
        assert (missing.status_code, missing.headers["x-error-code"]) == (404, "EntryNotFound")
