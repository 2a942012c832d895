"""Statements are built once, whoever asks first."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from modelyard.registry.statements import built_once


def test_threads_that_ask_at_the_same_time_get_the_same_object() -> None:
    together, built = Barrier(8), []

    @built_once
    def build(_key: str) -> object:
        built.append(found := object())
        return found

    def ask(_number: int) -> object:
        together.wait()
        return build("a")

    for _ in range(20):
        with ThreadPoolExecutor(8) as threads:
            assert set(threads.map(ask, range(8))) == {build("a")}
    assert built == [build("a")]
    assert build("b") is not build("a")
