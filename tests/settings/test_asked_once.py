"""A report asks a system each task once: what is asked of all is not asked again by size."""

import numpy as np
import pytest

from cmml_tf.config import CurveConfig
from cmml_tf.datasets.tasks.users.rating_tasks import RatingTasks
from cmml_tf.datasets.tasks.users.taken_items import RankingTasks, TakenItems
from cmml_tf.episodes.asked.asked_newcomers import AskedNewcomers, NewcomerCurve
from cmml_tf.episodes.asked.asked_users import AskedUsers
from cmml_tf.episodes.asked.user_curve import UserCurve
from cmml_tf.settings.judging import ask_all, ask_curve
from cmml_tf.settings.named import SETTINGS

ITEMS = 40


class SharedItems:
    """Scores an item by how near the support's items are; counts whom it is asked about."""

    reads_support = True

    def __init__(self):
        self.tasks = 0

    def adapt(self, support):
        self.tasks += len(support.length)
        read = np.arange(support.item.shape[1]) < support.length[:, None]
        return (support.item * read).sum(axis=1) / np.maximum(support.length, 1)

    def score(self, adapted, user, item):
        return -np.abs(item - adapted[:, None]).astype(np.float32)


def newcomers():
    rng = np.random.default_rng(0)
    sizes = np.int32([1, 3, 1, -1, 3, 5])
    taken = [rng.permutation(ITEMS)[:9].astype(np.int32) for _ in sizes]
    known = [7 if size < 0 else int(size) for size in sizes]
    user = np.arange(len(sizes), dtype=np.int32)

    def parts(lists):
        starts = np.concatenate([[0], np.cumsum([len(one) for one in lists])])
        return TakenItems(user, starts, np.concatenate(lists))

    support = parts([one[:n] for one, n in zip(taken, known, strict=True)])
    query = parts([one[n:] for one, n in zip(taken, known, strict=True)])
    ids = np.array([f"u{n}" for n in user])
    asked = AskedNewcomers.of(RankingTasks(sizes, support, query), ids, np.ones(ITEMS, bool))
    return "ranking", asked, NewcomerCurve(asked), len(asked)


def raters():
    rng = np.random.default_rng(1)
    lengths = np.array([9, 4, 7, 6])
    item = np.concatenate([rng.permutation(ITEMS)[:n] for n in lengths]).astype(np.int32)
    tasks = RatingTasks(
        np.arange(4, dtype=np.int32),
        np.concatenate([[0], np.cumsum(lengths)]),
        item,
        (item % 5).astype(np.float32),
    )
    asked = AskedUsers.of(tasks, 2, np.array([*"abcd"]), items_known=np.ones(ITEMS, bool))
    # Of three users: what is known of all, in their own order, is asked before.
    return "user", asked, UserCurve.of(asked, CurveConfig(most_asked=3, draws=2)), 3


@pytest.mark.parametrize("made", [newcomers, raters])
def test_what_was_asked_of_all_is_not_asked_by_size(made):
    name, asked, curve, again = made()
    setting, system = SETTINGS[name], SharedItems()
    found = ask_all(setting, {"system": system, "own": system}, asked)
    own = {"system": found["system"]}
    before = system.tasks
    points = ask_curve(setting, {"system": system}, curve, own)
    by_size = [(size, draw) for size in curve.sizes.values() for draw in range(curve.draws)]
    each = [len(curve.tasks(*one)) for one in by_size if one[0] or not one[1]]
    assert system.tasks - before == sum(each) - again

    for label, size in curve.sizes.items():
        alone = [setting.evaluate(system, curve.tasks(size, draw)) for draw in range(curve.draws)]
        for metric, values in points[label]["system"].rows.items():
            mean = np.mean([one.rows[metric] for one in alone], axis=0)
            np.testing.assert_allclose(values, mean, atol=1e-12, err_msg=f"{label} {metric}")
