"""How many uploads past the server a user has open."""

from __future__ import annotations

from modelyard.services.files.offers import OpenOffers


def test_each_user_has_as_many_as_the_limit_says() -> None:
    offers = OpenOffers(2)
    for user in (1, 2):
        for name in ("a", "b"):
            assert offers.has_room(user, 0)
            offers.note(user, name, 100)
        assert not offers.has_room(user, 99)
    offers.end(1, "a")
    assert (offers.has_room(1, 99), offers.has_room(2, 99)) == (True, False)


def test_what_is_over_or_of_another_process_does_not_count() -> None:
    offers = OpenOffers(1)
    offers.note(1, "a", 100)
    offers.end(1, "of another process")
    offers.end(2, "a")
    assert not offers.has_room(1, 99)
    assert offers.has_room(1, 100)


def test_nothing_is_kept_of_users_without_any() -> None:
    offers = OpenOffers()
    for user in range(100):
        offers.note(user, "a", 100)
        offers.end(user, "a")
        offers.note(user, "b", 100)
        assert offers.has_room(user, 100)
    assert not offers._open
