"""Values of variables as they were meant.

Secrets made with `echo` and blocks of YAML end with a line end. In a header such a value breaks the whole answer, and
as a path it names another folder.
"""

from __future__ import annotations

import os
import re

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_NO_TEXT = re.compile("[\ud800-\udfff]")  # how Python passes on bytes that are no UTF-8


def trimmed(value: str) -> str:
    """The value without white space around it. Raises ValueError where it is no UTF-8, or has control characters."""
    text = value.strip()
    if _NO_TEXT.search(text):
        raise ValueError("must be UTF-8")
    if _CONTROL.search(text):
        raise ValueError("must not have control characters, such as a line end, inside")
    return text


def trim_variables(prefix: str) -> None:
    """Trim what libraries read from the environment by themselves, and unset what is empty: it is meant as none at all.

    Raises ValueError, which names the variable.
    """
    for name in [each for each in os.environ if each.startswith(prefix)]:
        try:
            os.environ[name] = trimmed(os.environ[name])
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from error
        if not os.environ[name]:
            del os.environ[name]
