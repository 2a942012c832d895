"""Which requests come from a browser, that would ask its user for a password in a window of its own."""

from __future__ import annotations

from collections.abc import Mapping

# Browsers say so with each request to https and to this machine (Fetch Metadata), or where a script says it for them.
_SAID_BY_BROWSERS = ("sec-fetch-mode", "sec-fetch-site", "sec-fetch-dest", "x-requested-with", "origin")


def is_browser(headers: Mapping[str, str]) -> bool:
    """Whether a browser seems to have sent the request; names in `headers` are in lower case.

    All of them are called Mozilla; those that can be called otherwise ask for pages.
    """
    if any(name in headers for name in _SAID_BY_BROWSERS):
        return True
    return "mozilla/" in headers.get("user-agent", "").lower() or "text/html" in headers.get("accept", "").lower()
