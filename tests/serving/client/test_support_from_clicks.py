"""Supports made of clicks alone."""

import numpy as np
import pandas as pd
import pytest

import cmml_tf
from cmml_tf.client import InputError, support_from_clicks

CLICKS = [("ann", "tea"), ("bob", "milk"), ("ann", "milk"), ("cem", "rum")]
CANDIDATES = ["tea", "milk", "water", "juice", "beer"]


def test_each_click_is_followed_by_items_that_its_user_did_not_click():
    support = support_from_clicks(CLICKS, CANDIDATES, negatives=2)
    assert support.label == [1.0, 0.0, 0.0] * 4
    assert list(zip(support.user[::3], support.item[::3], strict=True)) == CLICKS
    for place, (user, item) in enumerate(zip(support.user, support.item, strict=True)):
        assert support.user[place] == support.user[place - place % 3]
        assert ((user, item) in CLICKS) == (place % 3 == 0)
        assert item in [*CANDIDATES, "rum"]
    for place in range(0, 12, 3):
        assert len(set(support.item[place : place + 3])) == 3


def test_the_same_arguments_give_the_same_support_in_whatever_form():
    expected = support_from_clicks(CLICKS, CANDIDATES, seed=3)
    table = pd.DataFrame(CLICKS, columns=["user", "item"])
    for clicks in (table, np.array(CLICKS), [list(one) for one in CLICKS]):
        for candidates in (CANDIDATES, np.array(CANDIDATES), pd.Series(CANDIDATES * 2)):
            assert support_from_clicks(clicks, candidates, seed=3) == expected
    assert support_from_clicks(CLICKS, CANDIDATES, seed=4) != expected
    assert cmml_tf.support_from_clicks is support_from_clicks


def test_every_candidate_is_drawn_equally_often():
    support = support_from_clicks([(0, 0)] * 2000, range(5), negatives=1)
    refused = np.array(support.item)[1::2]
    count = np.bincount(refused, minlength=5)
    assert count[0] == 0
    assert count[1:].min() > 400


def test_a_user_who_took_nearly_all_gets_fewer_and_clicks_may_stand_alone():
    assert support_from_clicks([(1, 7), (1, 8)], [7, 8, 9]).item == [7, 9, 8, 9]
    assert support_from_clicks([(1, 7)], [7]) == ([1], [7], [1.0])
    assert support_from_clicks([(1, 7)], [], negatives=0).label == [1.0]
    assert support_from_clicks([], CANDIDATES) == ([], [], [])


def test_what_is_shown_follows_the_clicks_or_stands_alone():
    support = support_from_clicks([], CANDIDATES, shown_to="ann")
    assert sorted(support.item) == sorted(CANDIDATES)
    assert support[::2] == (["ann"] * 5, [0.0] * 5)
    support = support_from_clicks([], range(500), shown_to=np.int64(7))
    assert len(set(support.item)) == 128
    assert {type(user) for user in support.user} == {int}
    clicks = support_from_clicks(CLICKS, CANDIDATES, seed=3)
    support = support_from_clicks(CLICKS, CANDIDATES, seed=3, shown_to="ann")
    for both, alone in zip(support, clicks, strict=True):
        assert both[:12] == alone
    assert sorted(support.item[12:]) == ["beer", "juice", "water"]
    assert support.label[12:] == [0.0] * 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([("ann",)], CANDIDATES), r"`clicks` must be pairs .* Received: \('ann',\)"),
        ((["an"], CANDIDATES), "`clicks` must be pairs"),
        ((7, CANDIDATES), "`clicks` must be a sequence"),
        ((pd.DataFrame({"user": [1]}), [1]), "`clicks` must have two columns, user and item"),
        (([("ann", None)], CANDIDATES), "`clicks` must hold ids, .* Received: None"),
        (([(1, 2.5)], CANDIDATES), "`clicks` must hold ids, .* Received: 2.5"),
        (([(1, 2), (1, "x")], [3]), "`clicks` must hold ids of one kind"),
        ((CLICKS, "tea"), "`candidates` must be a sequence"),
        ((CLICKS, []), "`candidates` must hold the items of the scenario"),
        ((CLICKS, CANDIDATES, -1), "`negatives` must be an integer of at least 0. Received: -1"),
        ((CLICKS, CANDIDATES, 2, 1.5), "`seed` must be an integer"),
        (([], [], 2, 0, "ann"), "`candidates` must hold the items of the scenario"),
        (([], CANDIDATES, 2, 0, 1.5), "`shown_to` must hold ids, .* Received: 1.5"),
        ((CLICKS, CANDIDATES, 2, 0, 7), "`shown_to` must hold ids of one kind"),
    ],
)
def test_wrong_arguments_are_named(arguments, message):
    with pytest.raises(InputError, match=message):
        support_from_clicks(*arguments)
