"""Who is asked what in the ranking setting, and that nothing of them is learned from."""

import numpy as np
import pandas as pd
import pytest
from ranking.small_clicks import clicks, opened

TASKS = pd.DataFrame(
    [(2, "u1", 1), (2, "u1", 3), (-1, "u1", 5), (2, "u2", 0), (2, "u2", 2)],
    columns=["known", "user", "item"],
).assign(role=["support", "query", "query", "query", "support"])


def named(data, items):
    return set(data.item_ids[items].tolist())


def test_asked_users_are_not_learned_from(tmp_path):
    data = opened(tmp_path)
    asked = set(data.asked.support.user.tolist())
    assert len(asked) == 18
    assert not asked & set(data.learned.user.tolist())
    assert len(asked) + len(data.learned) == 90


def test_support_and_query_are_all_that_a_user_has_taken(tmp_path):
    table, data = clicks(), opened(tmp_path)
    for task in range(len(data.asked)):
        support, query = data.asked.support.of(task), data.asked.query.of(task)
        assert len(query) >= 3
        own = table["item"][table["user"] == data.user_ids[data.asked.support.user[task]]]
        assert named(data, support) | named(data, query) == set(own)
        assert not named(data, support) & named(data, query)
        size = data.asked.known[task]
        assert len(support) == (int(0.8 * len(own)) if size < 0 else size)


def test_what_asked_users_have_taken_changes_nothing_that_is_learned_from(tmp_path):
    table, first = clicks(), opened(tmp_path)
    asked = first.user_ids[np.unique(first.asked.support.user)]
    mine = table["user"].isin(asked)
    other = pd.concat([table[~mine], table[mine].assign(item=table["item"][mine].to_numpy()[::-1])])
    other = pd.concat([other, pd.DataFrame({"user": asked[:1], "item": [999]})])
    second = opened(tmp_path, other)
    assert first.learned.user.tolist() == second.learned.user.tolist()
    assert first.item_ids.tolist() == second.item_ids.tolist()
    for name in ("starts", "item"):
        np.testing.assert_array_equal(getattr(first.learned, name), getattr(second.learned, name))
    assert second.counts["items that only users who are asked have taken, left out"] == 1


def test_items_come_most_taken_first(tmp_path):
    data = opened(tmp_path)
    assert (np.diff(data.taken) <= 0).all()


def test_low_values_are_left_out(tmp_path):
    table = clicks().assign(value=5)
    table.loc[table["item"] == 7, "value"] = 3
    data = opened(tmp_path, table, liked=4)
    assert 7 not in data.item_ids
    with pytest.raises(ValueError, match=r"`liked` must be a value that a row has.*liked=6.*is 5"):
        opened(tmp_path, table, liked=6)


def test_given_tasks_are_asked(tmp_path):
    TASKS.to_parquet(tmp_path / "tasks.parquet")
    data = opened(tmp_path, tasks=tmp_path / "tasks.parquet")
    assert data.asked.known.tolist() == [2, 2, -1]
    users = data.user_ids[data.asked.support.user].tolist()
    assert users == ["u1", "u2", "u1"]
    assert [named(data, data.asked.support.of(task)) for task in range(3)] == [{1}, {2}, set()]
    assert [named(data, data.asked.query.of(task)) for task in range(3)] == [{3}, {0}, {5}]
    assert len(data.learned) == 88


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"role": "asked"}, "`role` must be support or query. Received: 'asked'"),
        ({"known": 1.5}, "`known` must be a whole number, -1 for 80%.*'1.5'"),
        ({"user": "nobody"}, "The user nobody of .* is not in the data set"),
        (
            {"item": [1, 3, 5, 0, 77]},
            "The item 77 of .* must have been taken by a user who is learned from",
        ),
        ({"role": "support"}, "A task must have a line of role query. Received: none for user"),
    ],
)
def test_a_wrong_task_file_is_refused(tmp_path, change, message):
    TASKS.assign(**change).to_csv(tmp_path / "tasks.csv", index=False)
    with pytest.raises(ValueError, match=message):
        opened(tmp_path, tasks=tmp_path / "tasks.csv")


def test_users_with_too_little_are_named(tmp_path):
    with pytest.raises(ValueError, match="must be two users who have taken 10 items"):
        opened(tmp_path, clicks().groupby("user").head(4))
