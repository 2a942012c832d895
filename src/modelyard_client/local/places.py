"""Where the client keeps what it keeps, by the XDG rules and their like elsewhere."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

APPLICATION = "modelyard"
PARTIALS = ".myd"  # the folder of what is on its way into another one
NOWHERE = Path(os.devnull) / APPLICATION  # where nothing is, and nothing can be made


def credentials_path() -> Path:
    """Where tokens are kept."""
    from platformdirs import user_config_path  # noqa: PLC0415 - not needed for `--help`

    return _own(user_config_path) / "credentials.json"


def state_folder() -> Path:
    """Where uploads are remembered that go on."""
    from platformdirs import user_state_path  # noqa: PLC0415 - as above

    return _own(user_state_path) / "uploads"


def cache_folder() -> Path:
    """Where digests, and files where that is asked for, are remembered; MODELYARD_CACHE_DIR names another place."""
    from platformdirs import user_cache_path  # noqa: PLC0415 - as above

    named = os.environ.get("MODELYARD_CACHE_DIR")
    return Path(named) if named else _own(user_cache_path)


def _own(find: Callable[..., Path]) -> Path:
    """A folder of the user's; of whom no home is known, as of a container's, has none."""
    try:
        path = find(APPLICATION, appauthor=False)
    except RuntimeError:
        return NOWHERE
    return path if path.is_absolute() else NOWHERE  # else it would be one named `~` wherever the command runs
