"""What pages show of a file: looked into on threads of its own, so that large headers hold nobody up."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http import HTTPStatus

from modelyard.errors import ApiError
from modelyard.routes.http.transfers import files_of
from modelyard.routes.pages.holders import request_for, root_of
from modelyard.routes.pages.markdown import Card, card
from modelyard.routes.pages.visit import Visit
from modelyard.services.files.opening import Download
from modelyard.services.files.recent import Recent
from modelyard.services.previews.kinds import Kind, kind_of
from modelyard.services.previews.previewing import Preview, preview_of
from modelyard.services.previews.texts import Notebook, Text

LOOKING_THREADS = 2
MAX_REMEMBERED = 32  # headers, each of which may have taken a read of 100 MB

_LOOKERS = ThreadPoolExecutor(LOOKING_THREADS, thread_name_prefix="preview")
_REMEMBERED = Recent[Preview](MAX_REMEMBERED)
_DEAR = frozenset({Kind.SAFETENSORS, Kind.GGUF})


@dataclass(frozen=True, slots=True)
class Shown:
    """A file to be shown by `previews/preview.html`, as `shown`."""

    name: str
    raw: str  # the URL of its bytes, for a browser to show
    preview: Preview

    @property
    def card(self) -> Card:
        """A Markdown file, as cards are shown."""
        return card(self.preview.found.text if isinstance(self.preview.found, Text) else "")

    @property
    def html(self) -> Sequence[Card | None]:
        """The cells of a notebook that are Markdown, as cards are shown; None for the others."""
        cells = self.preview.found.cells if isinstance(self.preview.found, Notebook) else ()
        return [card(cell.text) if cell.kind == "markdown" else None for cell in cells]


async def look(visit: Visit, name: str) -> Shown:
    """A file of the version or run in the path, as far as pages show it. It is no download, and not counted as one.

    It decides nothing of who may see it: where it may not be read, or cannot, it says so, and the page that it is for
    raises what is due. Raises what says that the server cannot do it now.
    """
    raw = visit.links.to(f"{root_of(visit)}/raw/{visit.links.named(name)}")
    try:
        return Shown(name, raw, await _preview(visit, name))
    except ApiError as error:
        if error.status >= HTTPStatus.SERVICE_UNAVAILABLE or error.status == HTTPStatus.TOO_MANY_REQUESTS:
            raise
        return Shown(name, raw, Preview(Kind.BINARY, fault="The bytes of this file are not what was uploaded."))


async def _preview(visit: Visit, name: str) -> Preview:
    opened = await files_of(visit.request).downloads.open(request_for(visit, name), counts=False)
    sha256, dear = opened.file.sha256, kind_of(name) in _DEAR
    if dear and (found := _REMEMBERED.get(sha256)) is not None:
        opened.close()
        return found
    found = await asyncio.get_running_loop().run_in_executor(_LOOKERS, _looked, opened, name)
    if dear:
        _REMEMBERED.put(sha256, found)
    return found


def _looked(opened: Download, name: str) -> Preview:
    try:
        return preview_of(opened.reader or _Content(opened.content or b""), name)
    finally:
        opened.close()


class _Content:
    """A small file that is in memory."""

    def __init__(self, content: bytes) -> None:
        self.size = len(content)
        self._content = content

    def read(self, offset: int, length: int) -> bytes:
        """The bytes from `offset` on."""
        return self._content[offset : offset + length]
