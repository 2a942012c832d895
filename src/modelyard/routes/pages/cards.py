"""Cards while they are written: as they will look, and held to what was there when the writing began."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from starlette.responses import Response

from modelyard.access.identity import Identity
from modelyard.errors import Conflict
from modelyard.registry.repository import Registry
from modelyard.routes.pages.forms import Form
from modelyard.routes.pages.frame import View
from modelyard.routes.pages.markdown import Card, card
from modelyard.routes.pages.visit import Visit
from modelyard.services.tracking.limits import MAX_DESCRIPTION, check_length


@dataclass(frozen=True, slots=True)
class Draft:
    """A card that is being written. `base`: what was there at its beginning, by a digest."""

    text: str
    base: str
    limit: int = MAX_DESCRIPTION
    preview: Card | None = None
    other: str | None = None  # what somebody else has written meanwhile

    @classmethod
    def of(cls, text: str) -> Draft:
        """The beginning."""
        return cls(text, _mark(text))


def draft_of(form: Form, now_there: str) -> Draft:
    """The card as it was typed, with a preview where that was asked for.

    Its base is what is there now: what somebody else has written is shown beside, and goes if the form is sent again.
    """
    text, base = form.get("description", ""), form.get("base", "")
    preview = card(text) if "preview" in form and len(text) <= MAX_DESCRIPTION else None
    other = now_there if base and base != _mark(now_there) and preview is None else None
    return Draft(text, base if preview else _mark(now_there), preview=preview, other=other)


def changed_meanwhile(form: Form, now_there: str) -> None:
    """Raise Conflict where the card is not what it was when the form was shown."""
    base = form.get("base", "")
    if base and base != _mark(now_there) and form.get("description", "") != now_there:
        raise Conflict("Somebody else has changed the card meanwhile. Theirs is below; saving again replaces it.")


async def previewed(visit: Visit) -> Response:
    """The card in a form's field `description`, as a part of a page."""
    form = await visit.form()
    text = form.get("description", "")
    check_length("Description", text, MAX_DESCRIPTION)

    def view(_registry: Registry, _caller: Identity) -> View:
        return View([], {"card": card(text)})

    return await visit.show("models/_card.html", view)


def _mark(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
