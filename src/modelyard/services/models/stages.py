"""MLflow's stages of a version."""

from __future__ import annotations

from enum import StrEnum

from modelyard.errors import InvalidValue


class Stage(StrEnum):
    """MLflow's stages of a version."""

    NONE = "None"
    STAGING = "Staging"
    PRODUCTION = "Production"
    ARCHIVED = "Archived"

    @classmethod
    def of(cls, text: str) -> Stage:
        """The stage of that name, whatever its case. Raises InvalidValue."""
        for stage in cls:
            if stage.lower() == text.lower():
                return stage
        raise InvalidValue(f"Invalid Model Version stage: {text[:100]}. Value must be one of {', '.join(cls)}.")
