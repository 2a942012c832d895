"""Cards: Markdown with front matter, which anybody may have written. What comes of it is cleaned last, by nh3.

The one module that says of a text that it need not be escaped.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

from modelyard.services.previews.plain_yaml import mapping_of
from modelyard.services.previews.source import Faulty

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markupsafe import Markup

MAX_FRONT_MATTER = 20_000  # characters
MAX_CHIPS = 40
MAX_CHIP = 100  # characters of one
MAX_LISTED = 20  # values of one key
PREFIX = "card-"  # of ids of headings, which no other id begins with
_TAGS = {
    *("a", "abbr", "b", "blockquote", "br", "code", "dd", "del", "details", "div", "dl", "dt", "em", "figcaption"),
    *("h2", "h3", "h4", "h5", "h6", "hr", "i", "ins", "kbd", "li", "mark", "ol", "p", "pre", "q", "s", "samp"),
    *("section", "small", "span", "strong", "sub", "summary", "sup", "table", "tbody", "td", "th", "thead", "tr"),
    *("ul", "var"),
}
_ATTRIBUTES: dict[str, set[str]] = {
    "*": {"title", "dir", "lang"},
    "a": {"href"},
    "h2": {"id"},
    "h3": {"id"},
    "h4": {"id"},
    "h5": {"id"},
    "h6": {"id"},
    "ol": {"start"},
    "td": {"colspan", "rowspan", "align"},
    "th": {"colspan", "rowspan", "align", "scope"},
}
_SCHEMES = {"http", "https", "mailto"}
_DROPPED = {"script", "style", "svg", "math", "iframe", "object", "embed", "template", "noscript", "textarea", "title"}


@dataclass(frozen=True, slots=True)
class Card:
    """A card as a page shows it: HTML that is clean, and its front matter in short texts."""

    html: Markup
    chips: tuple[tuple[str, str], ...]
    fault: str = ""  # why there is front matter that is not shown


@lru_cache(64)
def card(text: str) -> Card:
    """The card that is written in a text; the last ones are remembered."""
    import nh3  # noqa: PLC0415 - as above
    from markupsafe import Markup  # noqa: PLC0415 - with Jinja2, when the first page is shown

    front, body = _split(text)
    chips, fault = _chips(front)
    made = _parser().render(body)
    clean = nh3.clean(
        made,
        tags=_TAGS,
        clean_content_tags=_DROPPED,
        attributes=_ATTRIBUTES,
        attribute_filter=_attribute,
        url_schemes=_SCHEMES,
        url_relative="pass_through",  # `_attribute` lets none but anchors pass
        link_rel="nofollow noopener noreferrer",
        strip_comments=True,
    )
    return Card(Markup(clean), chips, fault)  # noqa: S704 - it is clean


@cache
def _parser() -> MarkdownIt:
    from markdown_it import MarkdownIt  # noqa: PLC0415 - as above
    from mdit_py_plugins.anchors import anchors_plugin  # noqa: PLC0415 - as above
    from mdit_py_plugins.tasklists import tasklists_plugin  # noqa: PLC0415 - as above

    made = MarkdownIt("commonmark", {"html": True, "linkify": False, "maxNesting": 20})
    made.enable(["table", "strikethrough"])
    made.use(tasklists_plugin)
    made.use(anchors_plugin, max_level=6)
    made.core.ruler.push("pages", _adapted)
    return made


def _adapted(state: Any) -> None:  # noqa: ANN401 - the parser's own
    """Headings below that of the page, with prefixed ids; images as links, as no other host is asked for any; boxes of
    tasks as signs, since nobody can tick them.
    """
    for token in state.tokens:
        if token.type in {"heading_open", "heading_close"}:
            token.tag = f"h{min(int(token.tag[1]) + 1, 6)}"
            if token.type == "heading_open":
                token.attrSet("id", PREFIX + str(token.attrGet("id") or ""))
        for child in token.children or ():
            if child.type == "image":
                _linked(child)
            elif child.type == "link_open" and str(child.attrGet("href") or "").startswith("#"):
                child.attrSet("href", f"#{PREFIX}{str(child.attrGet('href'))[1:]}")
            elif child.type == "html_inline" and "task-list-item-checkbox" in child.content:
                child.content = "\u2611 " if "checked" in child.content.replace("checkbox", "") else "\u2610 "


def _linked(image: Any) -> None:  # noqa: ANN401 - as above
    from markdown_it.common.utils import escapeHtml  # noqa: PLC0415 - as above

    label = escapeHtml(image.content or "image")
    source = escapeHtml(str(image.attrGet("src") or ""))
    image.type, image.content, image.children = "html_inline", f'<a href="{source}">{label}</a>', None


def _attribute(tag: str, name: str, value: str) -> str | None:
    """Ids are those of headings, and links lead to them or to other hosts: never to what a click would do here."""
    if tag == "a" and name == "href":
        return value if value.startswith((f"#{PREFIX}", *(f"{scheme}:" for scheme in _SCHEMES))) else None
    if name == "id":
        return value if value.startswith(PREFIX) else None
    return value


def _split(text: str) -> tuple[str, str]:
    """Front matter, without its fences, and what follows it."""
    if not text.startswith("---\n"):
        return "", text
    front, fence, body = text[4:].partition("\n---\n")
    if not fence and text.endswith("\n---"):
        return text[4:-4], ""
    return (front, body) if fence else ("", text)


def _chips(front: str) -> tuple[tuple[tuple[str, str], ...], str]:
    """The front matter as labels with short texts, and what is wrong with it."""
    if not front.strip():
        return (), ""
    if len(front) > MAX_FRONT_MATTER:
        return (), "The front matter is too long to be shown"
    try:
        values = mapping_of(front, "front matter")
    except Faulty as error:
        return (), str(error)
    found = ((str(key)[:MAX_CHIP], _told(value)) for key, value in list(values.items())[:MAX_CHIPS])
    return tuple((key, text) for key, text in found if text), ""


def _told(value: object) -> str:
    if isinstance(value, Mapping):
        return ""
    if isinstance(value, list):
        plain = [str(each) for each in value[:MAX_LISTED] if not isinstance(each, (Mapping, list))]
        return ", ".join(plain)[:MAX_CHIP]
    return "" if value is None else str(value)[:MAX_CHIP]
