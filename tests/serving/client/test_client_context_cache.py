import numpy as np
import pytest

from cmml_tf.client import ContextCache
from cmml_tf.client.context_cache import support_digest

CONTEXT = np.ones(2, np.float32)


def test_the_least_recently_used_context_goes_first():
    cache = ContextCache(max_entries=2)
    cache.put(1, b"a", CONTEXT)
    cache.put(1, b"b", CONTEXT)
    assert cache.get(1, b"a") is CONTEXT
    cache.put(1, b"c", CONTEXT)
    assert cache.get(1, b"b") is None
    assert cache.get(1, b"a") is CONTEXT
    assert (len(cache), cache.hits, cache.misses) == (2, 2, 1)


def test_contexts_grow_old():
    now = [0.0]
    cache = ContextCache(max_age_seconds=10, clock=lambda: now[0])
    cache.put(1, b"a", CONTEXT)
    now[0] = 10.0
    assert cache.get(1, b"a") is CONTEXT
    now[0] = 10.1
    assert cache.get(1, b"a") is None
    assert len(cache) == 0


def test_versions_do_not_share_contexts():
    cache = ContextCache()
    cache.put(1, b"a", CONTEXT)
    cache.put(2, b"a", 2 * CONTEXT)
    cache.drop_version(1)
    assert cache.get(1, b"a") is None
    np.testing.assert_array_equal(cache.get(2, b"a"), 2 * CONTEXT)


@pytest.mark.parametrize("bound", [{"max_entries": 0}, {"max_age_seconds": -1.0}])
def test_bounds_must_be_positive(bound):
    with pytest.raises(ValueError, match=f"`{next(iter(bound))}` must be positive"):
        ContextCache(**bound)


def test_digests_tell_supports_apart():
    labels = np.ones(2, np.float32)
    supports = [
        ([b"ab", b"c"], [b"x", b"y"], labels),
        ([b"a", b"bc"], [b"x", b"y"], labels),
        ([b"c", b"ab"], [b"x", b"y"], labels),
        ([b"ab", b"c"], [b"x", b"y"], 0 * labels),
        ([b"ab", b"c", b"x"], [b"y"], labels),
    ]
    assert len({support_digest(support) for support in supports}) == len(supports)
    assert support_digest(supports[0]) == support_digest(([b"ab", b"c"], [b"x", b"y"], labels))
