"""The user setting's own signature through the client: items and users by their features."""

import asyncio

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from cmml_tf.client import AsyncClient, Client, InputError
from cmml_tf.config.rating import RatingModelConfig
from cmml_tf.models.rating_model import build_rating_model
from cmml_tf.serving.export import export_model
from cmml_tf.types import Feature, FeatureColumn

GENRE = FeatureColumn(
    Feature("genre", "multi-hot", ("Drama", "War")), np.int32([1, 0, 1]), np.int64([0, 2, 2, 3, 3])
)
PRICE = FeatureColumn(Feature("price", "numeric", (), 10.0, 4.0), np.float32([1, -1, 0, 0]))
AGE = FeatureColumn(Feature("age", "categorical", ("18", "25")), np.int32([1, 0, 2]))
SUPPORT = {"genre": ["War|Drama", "", "War"], "price": [14.0, 6.0, 10.0]}
RATINGS = [5, 1, 3]
QUERY = {"genre": ["Drama", "Anime"], "price": [8, 12.5]}
USER = {"age": "25"}
TASK = (SUPPORT, RATINGS, QUERY, USER)


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    tf.keras.utils.set_random_seed(0)
    config = RatingModelConfig(feature_dimension=4)
    model = build_rating_model(config, [GENRE, PRICE], [AGE])
    for variable in model.trainable_variables:
        variable.assign_add(tf.random.normal(variable.shape, stddev=0.1))
    return export_model(
        model, tmp_path_factory.mktemp("export"), [7, 8], [10, 11, 12], scale=(0.5, 5.0)
    )


@pytest.fixture(scope="module")
def server(start_server, exported):
    return start_server(exported.parent)


@pytest.fixture(scope="module")
def client(server):
    with Client(server.address, "cmml", timeout=20) as client:
        yield client


@pytest.fixture(scope="module")
def expected(exported):
    """Scores of `TASK` without a server."""
    signature = tf.saved_model.load(str(exported)).signatures["score_features"]
    inputs = {f"support_item_{name}": [values] for name, values in SUPPORT.items()}
    inputs |= {f"query_item_{name}": [values] for name, values in QUERY.items()}
    inputs |= {"user_age": ["25"], "support_length": np.int32([3])}
    answer = signature(
        support_label=tf.constant([RATINGS], tf.float32),
        **{name: tf.constant(value) for name, value in inputs.items()},
    )
    return {name: value.numpy()[0] for name, value in answer.items()}


def test_one_task_scores_as_the_graph_says(client, expected):
    answer = client.score_features(*TASK)
    np.testing.assert_allclose(answer.score, expected["score"], atol=1e-6)
    np.testing.assert_allclose(answer.context, expected["context"], atol=1e-6)
    assert answer.version == 1


def test_tables_of_pandas_mean_the_same(client):
    frames = (pd.DataFrame(SUPPORT), pd.Series(RATINGS), pd.DataFrame(QUERY), USER)
    expected = client.score_features(*TASK).score
    np.testing.assert_array_equal(client.score_features(*frames).score, expected)


def test_what_a_table_leaves_out_is_unknown(client):
    holes = {"genre": [None, np.nan], "price": [None, 8.0]}
    unknown = {"genre": ["", ""], "price": [np.nan, 8.0]}
    expected = client.score_features(SUPPORT, RATINGS, unknown, {"age": ""}).score
    for table in (holes, pd.DataFrame(holes)):
        answer = client.score_features(SUPPORT, RATINGS, table, {"age": None})
        np.testing.assert_array_equal(answer.score, expected)


def test_tasks_of_any_length_score_as_each_alone(client):
    tables = [
        TASK,
        ({"genre": ["War"], "price": [3.0]}, [4], {"genre": ["War"], "price": [1.0]}, {"age": ""}),
    ]
    several = [
        {name: [table[position][name] for table in tables] for name in tables[0][position]}
        for position in (0, 2, 3)
    ]
    together = client.score_features(several[0], [task[1] for task in tables], *several[1:])
    assert [len(score) for score in together.score] == [2, 1]
    for task, score, context in zip(tables, together.score, together.context, strict=True):
        alone = client.score_features(*task)
        np.testing.assert_allclose(score, alone.score, atol=1e-6)
        np.testing.assert_allclose(context, alone.context, atol=1e-6)


def test_support_length_leaves_later_pairs_out(client):
    short = {name: values[:2] for name, values in SUPPORT.items()}
    expected = client.score_features(short, RATINGS[:2], QUERY, USER).score
    cut = client.score_features(*TASK, support_length=2).score
    np.testing.assert_allclose(cut, expected, atol=1e-6)


@pytest.mark.parametrize(
    ("position", "value", "message"),
    [
        (0, {"genre": SUPPORT["genre"]}, "`support_items` must hold the feature `price`"),
        (2, {**QUERY, "year": [1, 2]}, "`query_items` must not hold the feature `year`: the"),
        (0, [1, 2], "`support_items` must be a mapping or a table"),
        (2, {**QUERY, "price": ["a", "b"]}, "`query_item_price` must hold float32"),
        (2, {**QUERY, "genre": ["Drama"]}, "`query_item_price` must be as long as"),
        (1, [5, 1], "`support_label` must be as long as `support_item_genre`"),
        (1, [5, np.nan, 1], "`support_label` must be finite"),
        (3, None, "`user` must hold the feature `age`: the model's features are age"),
        (3, {"age": ["18", "25"]}, "`user_age` must be one value for each task"),
        (3, {"age": 25}, "`user_age` must hold strings"),
        (1, [5, 1, 77], "`support_label` must lie between 0.5 and 5"),
    ],
)
def test_what_is_wrong_is_named(client, position, value, message):
    arguments = list(TASK)
    arguments[position] = value
    with pytest.raises(InputError) as caught:
        client.score_features(*arguments)
    assert message in str(caught.value)


def test_ratings_off_the_scale_are_named_by_task(client):
    items, ratings = [[10, 11]] * 3, [[5, 1], [5, 77], [0, 1]]
    calls = [
        lambda: client.score(7, items, ratings, 7, [[12]] * 3),
        lambda: client.encode_context(7, items, ratings),
        lambda: client.recommend(7, items, ratings, [7] * 3),
        lambda: client.score_features(
            {name: [values[:2]] * 3 for name, values in SUPPORT.items()},
            ratings,
            {name: [values] * 3 for name, values in QUERY.items()},
            {"age": ["18", "25", ""]},
        ),
    ]
    for call in calls:
        with pytest.raises(InputError, match=r"refuses tasks 1, 2 .*`support_label`") as caught:
            call()
        assert caught.value.tasks == (1, 2)
        assert "Received in task 1: support_label=[5.0, 77.0]" in str(caught.value)
    pair = {"support_user_id": [7, 7], "support_item_id": [10, 11]}
    pair |= {"query_user_id": 7, "query_item_id": 12}
    with pytest.raises(InputError, match="refuses examples 1, 2") as caught:
        client.score_examples([{**pair, "support_label": one} for one in ratings])
    assert caught.value.tasks == (1, 2)


def test_the_other_signatures_of_the_user_setting(client):
    scores = client.score(7, [10, 11], [5, 1], 7, [12, 10])
    context = client.encode_context(7, [10, 11], [5, 1])
    again = client.score_with_context(context, 7, [12, 10])
    np.testing.assert_allclose(again.score, scores.score, atol=1e-6)
    explained = client.explain(7, [10, 11], [5, 1], 7, [12, 10])
    np.testing.assert_allclose(explained.score, scores.score, atol=1e-6)
    assert client.recommend(7, [10, 11], [5, 1], 7).item_id.tolist()[0] == 12
    pair = {"support_user_id": [7, 7], "support_item_id": [10, 11], "support_label": [5, 1]}
    examples = [{**pair, "query_user_id": 7, "query_item_id": item} for item in (12, 10)]
    np.testing.assert_allclose(client.score_examples(examples).score, scores.score, atol=1e-6)


def test_the_asyncio_client_gives_the_same_answers(server, client):
    async def ask():
        async with AsyncClient(server.address, "cmml", timeout=20) as asynchronous:
            return await asynchronous.score_features(*TASK)

    np.testing.assert_array_equal(asyncio.run(ask()).score, client.score_features(*TASK).score)


def test_a_model_of_the_other_setting_has_no_features(contract_server):
    with (
        Client(contract_server.address, "cmml", timeout=20) as client,
        pytest.raises(InputError, match="must have the signature `score_features`"),
    ):
        client.score_features(*TASK)
