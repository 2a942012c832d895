"""Id tokens taken apart, before anything of them is believed."""

from __future__ import annotations

import pytest

from modelyard.services.identity.id_tokens import read
from modelyard.services.identity.refusals import Refused


@pytest.mark.parametrize(
    "text", ["", "a.b", "abcde.abcde.abcde", "YQ.YQ.YQ", "e30.e30.e30", "NaN.NaN.NaN", "eyJhIjpOYU59.e30.e30"]
)
def test_what_is_no_token_is_refused(text: str) -> None:
    with pytest.raises(Refused):
        read(text)
