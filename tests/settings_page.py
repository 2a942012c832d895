"""The table of `docs/settings.md`, made of the settings: `python -m tests.settings_page` writes it there."""

from __future__ import annotations

from pathlib import Path

from pydantic.fields import FieldInfo

from modelyard.settings import PREFIX, Settings
from tests.documents import ROOT

PAGE = ROOT / "docs" / "settings.md"
HEAD = "| variable | default | meaning |\n|---|---|---|\n"


def table() -> str:
    """A line for each setting, in their order."""
    rows = (
        f"| `{PREFIX}{name.upper()}` | {_default(field)} | {field.description} |\n"
        for name, field in Settings.model_fields.items()
    )
    return HEAD + "".join(rows)


def _default(field: FieldInfo) -> str:
    """The default as a person writes it, or in the field's own words."""
    if isinstance(field.json_schema_extra, dict):
        return str(field.json_schema_extra["default"])
    return f"`{str(field.default).lower() if isinstance(field.default, bool) else field.default}`"


def page(text: str) -> str:
    """The page with the table in the place of the one that it has, which ends it."""
    return text[: text.index(HEAD)] + table()


if __name__ == "__main__":
    Path(PAGE).write_text(page(PAGE.read_text()))
