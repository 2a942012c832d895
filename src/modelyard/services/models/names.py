"""Names of registered models and of their versions' aliases: MLflow's rules, in its words.

`models:/<name>/<version>` and `models:/<name>@<alias>` are how clients address them, so neither may hold what these
URIs are split at. Models that were made under an earlier rule may have a slash in their names, and keep it.
"""

from __future__ import annotations

import re

from modelyard.errors import InvalidValue
from modelyard.services.tracking.limits import MAX_MODEL_NAME
from modelyard.terms.paths import is_printable

LATEST = "latest"  # an alias that nobody sets
MAX_ALIAS = 255  # characters
_ALIAS = re.compile(r"[\w-]+")
_VERSION_ALIAS = re.compile(r"[vV]\d+")


def check_model_name(name: str) -> None:
    """Hold the name of a model that is made or renamed to the rule. Raises InvalidValue."""
    if not name.strip():
        raise InvalidValue("Missing value for required parameter 'name'.")
    if len(name) > MAX_MODEL_NAME:
        raise InvalidValue(f"'name' exceeds the maximum length of {MAX_MODEL_NAME} characters")
    if "/" in name or ":" in name:
        raise InvalidValue(f"Invalid model name '{name}'. Names cannot contain '/' or ':'.")
    if name in {".", ".."} or not is_printable(name):
        rule = "Names must be printable, and neither '.' nor '..'."
        raise InvalidValue(f"Invalid model name '{name}'. {rule}")


def check_alias(alias: str) -> None:
    """Hold an alias that is set to the rule: a version number is none, since `@v1` could mean two things.

    Raises InvalidValue.
    """
    if len(alias) > MAX_ALIAS:
        raise InvalidValue(f"'Registered model alias name' exceeds the maximum length of {MAX_ALIAS} characters")
    if not _ALIAS.fullmatch(alias):
        rule = "Names may only contain alphanumerics, underscores (_), and dashes (-)."
        raise InvalidValue(f"Invalid alias name: '{alias}'. {rule}")
    if alias.lower() == LATEST:
        raise InvalidValue("'latest' alias name (case insensitive) is reserved.")
    if _VERSION_ALIAS.fullmatch(alias):
        raise InvalidValue(f"Version alias name '{alias}' is reserved.")
