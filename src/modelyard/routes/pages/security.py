"""What browsers are told of pages, so that nothing in one can act for its reader."""

from __future__ import annotations

CSP = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self' data:",
    "connect-src": "'self'",
    "font-src": "'self'",
    "frame-src": "'self'",
    "form-action": "'self'",
    "base-uri": "'none'",
    "frame-ancestors": "'none'",
}
HSTS_SECONDS = 31_536_000


def csp(**more: str) -> str:
    """The Content-Security-Policy, with further sources for some directives: `connect_src="https://bucket"`."""
    added = {name.replace("_", "-"): sources for name, sources in more.items()}
    return "; ".join(
        f"{name} {sources} {added[name]}" if name in added else f"{name} {sources}" for name, sources in CSP.items()
    )


_HEADERS = {
    "Content-Security-Policy": csp(),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Vary": "Cookie, Accept-Encoding",
}


def page_headers(secure: bool, *, no_store: bool = False) -> dict[str, str]:
    """The headers of every page; `secure`: it comes by https. `no_store`: nobody keeps it, as it shows a secret."""
    cache = "no-store" if no_store else "private, no-cache"
    hsts = {"Strict-Transport-Security": f"max-age={HSTS_SECONDS}"} if secure else {}
    return _HEADERS | {"Cache-Control": cache} | hsts
