"""Templates become pages. Jinja2 is imported when the first one is shown: most starts of a server need none."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelyard.clock import Milliseconds, iso
from modelyard.routes.pages.assets import Asset, asset
from modelyard.routes.pages.coordinates import sparkline
from modelyard.routes.pages.figures import amount, count, duration, number

if TYPE_CHECKING:
    from jinja2 import Environment

    from modelyard.routes.pages.viewer import Viewer

TEMPLATES = Path(__file__).parent / "templates"
SHOWN_DIGITS = 12  # of a digest


@cache
def environment() -> Environment:
    """Where templates are found, and what all of them know. Whatever they show is escaped."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # noqa: PLC0415 - see above

    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
        cache_size=-1,
    )
    made.filters |= {
        "amount": amount,
        "count": count,
        "metric": number,
        "duration": duration,
        "iso": iso,
        "sparkline": sparkline,
        "digest": lambda text: text[:SHOWN_DIGITS],
    }
    made.globals |= {"asset": _asset}
    return made


def render(template: str, viewer: Viewer, values: Mapping[str, Any]) -> str:
    """A template with its values; times are written as the viewer wants them."""

    def written(moment: Milliseconds) -> str:
        return viewer.written(moment)

    return environment().get_template(template).render(values, written=written, viewer=viewer)


def _asset(name: str) -> Asset:
    return asset(name)
