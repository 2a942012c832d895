"""What is answered to anybody, and counts towards the share of whoever asks as a refusal does."""

from __future__ import annotations

import math

from fastapi import Depends, Request

COUNTED = "modelyard.counted"  # the scope's key of a list, to which goes for how many seconds the answer may wait

PROBE_WAIT = 0.1  # short of what any orchestrator takes for a failure


def counted(longest_wait: float = math.inf) -> Depends:  # type: ignore[valid-type] # a function by its stubs
    """A dependency of routes that strangers could ask again and again."""

    async def count(request: Request) -> None:
        request.scope[COUNTED].append(longest_wait)

    return Depends(count)  # type: ignore[no-any-return] # as above
