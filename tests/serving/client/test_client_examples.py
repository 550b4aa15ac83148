"""Pairs as Examples, through the Regress API."""

import asyncio

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from cmml_tf.client import AsyncClient, Client, InputError
from cmml_tf.client.examples import serialized


@pytest.fixture(scope="module")
def client(contract_server):
    with Client(contract_server.address, "cmml", timeout=20) as client:
        yield client


def test_mappings_and_serialized_examples_mean_the_same(client):
    values = [-1.0, 0.0, 2.5]
    features = [
        tf.train.Features(feature={"value": tf.train.Feature(float_list={"value": [value]})})
        for value in values
    ]
    whole = [tf.train.Example(features=one).SerializeToString() for one in features]
    expected = client.score_examples(whole)
    assert expected.version == 2
    assert np.all(np.diff(expected.score) > 0)
    answer = client.score_examples([{"value": value} for value in values])
    np.testing.assert_array_equal(answer.score, expected.score)
    shared = client.score_examples([{}, {}], context={"value": 2.5})
    np.testing.assert_array_equal(shared.score, [expected.score[2]] * 2)

    async def ask():
        async with AsyncClient(client._settings._target, "cmml", timeout=20) as asynchronous:
            return await asynchronous.score_examples(whole)

    np.testing.assert_array_equal(asyncio.run(ask()).score, expected.score)


def test_values_become_the_lists_that_tensorflow_reads():
    example = {
        "support_user_id": np.array([1, 2]),
        "support_item_id": pd.Series(["a", "ä"]),
        "support_label": [1, 0],
        "query_item_id": b"x",
        "none": [],
    }
    parsed = tf.train.Example.FromString(serialized(0, example)).features.feature
    assert parsed["support_user_id"].int64_list.value == [1, 2]
    assert parsed["support_item_id"].bytes_list.value == [b"a", "ä".encode()]
    assert parsed["support_label"].float_list.value == [1.0, 0.0]
    assert parsed["query_item_id"].bytes_list.value == [b"x"]
    assert parsed["none"].WhichOneof("kind") is None


def test_scores_that_are_not_numbers_are_refused_and_named(client):
    examples = [{"value": value} for value in (1.0, np.nan, 0.0, np.nan)]
    with pytest.raises(InputError, match="refuses examples 1, 3") as caught:
        client.score_examples(examples)
    assert caught.value.tasks == (1, 3)


@pytest.mark.parametrize(
    ("examples", "message"),
    [
        ([], "at least one Example"),
        ([{}, "text"], "str in example 1"),
        ([{"value": ["a", 1]}], "`value` must hold strings, integers or floats"),
        ([{"value": None}], "`value` must hold"),
    ],
)
def test_what_is_no_example_is_named(client, examples, message):
    with pytest.raises(InputError, match=message):
        client.score_examples(examples)


def test_what_the_server_cannot_parse_is_refused(client):
    with pytest.raises(InputError):
        client.score_examples([{"value": "text"}])
