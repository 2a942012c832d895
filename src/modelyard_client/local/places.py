"""Where the client keeps what it keeps, by the XDG rules and their like elsewhere."""

from __future__ import annotations

import os
from pathlib import Path

APPLICATION = "modelyard"


def credentials_path() -> Path:
    """Where tokens are kept."""
    from platformdirs import user_config_path  # noqa: PLC0415 - not needed for `--help`

    return user_config_path(APPLICATION, appauthor=False) / "credentials.json"


def state_folder() -> Path:
    """Where uploads are remembered that go on."""
    from platformdirs import user_state_path  # noqa: PLC0415 - as above

    return user_state_path(APPLICATION, appauthor=False) / "uploads"


def cache_folder() -> Path:
    """Where digests, and files where that is asked for, are remembered; MODELYARD_CACHE_DIR names another place."""
    from platformdirs import user_cache_path  # noqa: PLC0415 - as above

    named = os.environ.get("MODELYARD_CACHE_DIR")
    return Path(named) if named else user_cache_path(APPLICATION, appauthor=False)
