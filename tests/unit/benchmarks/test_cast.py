"""The seeded people, clients and families: distinct, spread, and held by one connection at a time."""

from __future__ import annotations

import random

import pytest
from benchmarks.cast import API, OPENID, Cast, Deck

from bartizan.protocol.oauth import refresh
from bartizan.protocol.secrets import KeyRing

CAST = Cast(users=100, clients=10, families=1000, seed=b"s" * 32)
RING = KeyRing((("aaaaaaaa", b"k" * 32),)).purpose(refresh.PURPOSE)


def deck(members: Cast = CAST) -> Deck:
    return Deck(members, RING, 1, random.Random(1))


def test_ids_are_distinct_and_in_the_order_of_their_numbers() -> None:
    ids = [CAST.family_id(number) for number in range(1000)]
    assert ids == sorted(set(ids))
    assert all(one.version == 7 for one in ids)
    assert CAST.family_id(3) != CAST.session_id(3) != CAST.user_id(3)


def test_families_are_spread_over_all_clients_and_people() -> None:
    assert {CAST.client_of(number) for number in range(100)} == set(range(10))
    assert {CAST.user_of(number) for number in range(100)} == set(range(100))


def test_secrets_differ_and_come_again() -> None:
    assert CAST.client_secret(1) == CAST.client_secret(1) != CAST.client_secret(2)
    assert CAST.session_secret(1) not in (CAST.client_secret(1), CAST.session_secret(2))


def test_no_two_connections_hold_one_family() -> None:
    drawn = deck()
    assert len({drawn.draw() for _ in range(400)}) == 400


def test_openid_is_granted_to_the_odd_ones() -> None:
    drawn = deck()
    assert CAST.scopes(drawn.draw(openid=True)) == OPENID
    assert CAST.scopes(drawn.draw()) == API


def test_what_was_put_back_may_be_drawn_again() -> None:
    drawn = deck(Cast(users=1, clients=1, families=1, seed=b"s"))
    assert drawn.draw() == 0
    drawn.put_back(0)
    assert drawn.draw() == 0


def test_when_all_are_held_it_says_so_and_does_not_search_for_ever() -> None:
    drawn = deck(Cast(users=1, clients=1, families=3, seed=b"s"))
    assert {drawn.draw(), drawn.draw(), drawn.draw(openid=True)} == {0, 1, 2}
    for openid in (False, True):
        with pytest.raises(RuntimeError, match="--families"):
            drawn.draw(openid=openid)


def test_a_token_is_the_instances_own_and_follows_the_rotations() -> None:
    drawn = deck()
    number = drawn.draw()
    drawn.rotated(number)
    token = refresh.decode(RING, drawn.token(number))
    assert token is not None
    assert (token.family, token.generation, token.epoch) == (CAST.family_id(number), 2, 1)
