"""How long names and values may be, in characters: the larger of GitLab's and MLflow's limits, or more.

MLflow's own server cuts longer values of runs, so its users do not know the limits. Nothing is cut here.
"""

from __future__ import annotations

from collections.abc import Mapping

from modelyard.errors import InvalidValue

MAX_EXPERIMENT_NAME = 500
MAX_MODEL_NAME = 500  # of registered and logged models
MAX_RUN_NAME = 255
MAX_USER = 256  # of one that a client names
MAX_RUN_ID = 256  # of a run that may live elsewhere
MAX_DESCRIPTION = 10_000
MAX_KEY = 250  # of tags, parameters and metrics
MAX_REGISTRY_KEY = 255  # of tags of models and versions
MAX_PARAM_VALUE = MAX_TAG_VALUE = 65_536
MAX_REGISTRY_TAG_VALUE = 100_000
MAX_SOURCE = 2_000  # of a version, as of its `run_link`
MAX_DATASET_NAME = 500
MAX_DATASET_DIGEST = MAX_DATASET_SOURCE_TYPE = 255  # MLflow's columns have 36
MAX_DATASET_SOURCE = 65_536
MAX_DATASET_SCHEMA = 1024 * 1024
MAX_DATASET_PROFILE = 1024 * 1024  # MLflow takes sixteen times as much, which no run could be shown with
MAX_INPUT_TAG_VALUE = 500  # of a dataset's tags, which listings of datasets repeat


def check_tags(tags: Mapping[str, str], max_key: int = MAX_KEY, max_value: int = MAX_TAG_VALUE) -> None:
    """Hold keys and values of tags to their limits. Raises InvalidValue."""
    for key, value in tags.items():
        check_key("Tag", key, max_key)
        check_length(f"The value of tag '{key}'", value, max_value)


def check_registry_tags(tags: Mapping[str, str]) -> None:
    """Hold tags of models and versions to their limits. Raises InvalidValue."""
    check_tags(tags, MAX_REGISTRY_KEY, MAX_REGISTRY_TAG_VALUE)


def check_params(params: Mapping[str, str]) -> None:
    """Hold parameters to their limits. Raises InvalidValue."""
    for key, value in params.items():
        check_key("Parameter", key)
        check_length(f"The value of parameter '{key}'", value, MAX_PARAM_VALUE)


def check_key(what: str, key: str, limit: int = MAX_KEY) -> None:
    """Hold a key to its limits. Raises InvalidValue."""
    if not key or len(key) > limit:
        raise InvalidValue(f"{what} keys must have 1 to {limit} characters")


def check_length(what: str, text: str, limit: int) -> None:
    """Hold a text to its limit. Raises InvalidValue."""
    if len(text) > limit:
        raise InvalidValue(f"{what} has more than {limit} characters")
