"""Promises to take over an upload: what they bind, and that nobody else can make one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from modelyard.access.promises import Place, Promise, Promises, UnknownUpload

PLACE = Place(1, "version", 2, "dir/weights.bin", 3)
PROMISE = Promise("a" * 32, 5, None, expires_at=1000)
PROMISES = Promises(b"secret")
SIGNED = PROMISES.sign(PROMISE, PLACE)


@pytest.mark.parametrize("promise", [PROMISE, replace(PROMISE, sha256="b" * 64)])
def test_a_promise_is_read_as_it_was_signed_by_whoever_has_the_secret(promise: Promise) -> None:
    assert Promises(b"secret").read(PROMISES.sign(promise, PLACE), PLACE, at=999) == promise


@pytest.mark.parametrize(
    "place",
    [
        replace(PLACE, project_id=9),
        replace(PLACE, owner_kind="candidate"),
        replace(PLACE, owner_id=9),
        replace(PLACE, name="dir/weights.bin2"),
        replace(PLACE, user_id=9),
    ],
)
def test_a_promise_holds_nowhere_else_and_for_nobody_else(place: Place) -> None:
    with pytest.raises(UnknownUpload):
        PROMISES.read(SIGNED, place, at=999)


def test_another_secret_makes_other_promises() -> None:
    with pytest.raises(UnknownUpload):
        Promises(b"other").read(SIGNED, PLACE, at=999)


def test_a_promise_expires() -> None:
    with pytest.raises(UnknownUpload):
        PROMISES.read(SIGNED, PLACE, at=1000)


def test_no_part_of_a_promise_may_be_changed() -> None:
    for index in range(len(SIGNED)):
        # The last digit of each half has bits that mean nothing; other than those, every change must be noticed.
        changed = SIGNED[:index] + ("A" if SIGNED[index] != "A" else "B") + SIGNED[index + 1 :]
        try:
            read = PROMISES.read(changed, PLACE, at=999)
        except UnknownUpload:
            continue
        assert read == PROMISE


@pytest.mark.parametrize("text", ["", ".", "a", "a.b", "é.é", "a a.b", SIGNED.partition(".")[0], SIGNED + "\n"])
def test_what_is_no_promise_is_refused(text: str) -> None:
    with pytest.raises(UnknownUpload):
        PROMISES.read(text, PLACE, at=999)
