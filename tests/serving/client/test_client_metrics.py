"""What a client sees, counted by an observer; and that it is asked for nothing without one."""

import sys

import grpc
import numpy as np
import pytest
from serving.client.test_client_calls import TASK

from cmml_tf.client import Client, ContextCache, EndedCall, InputError, Scores
from cmml_tf.monitoring.prometheus import PrometheusMetrics

prometheus = pytest.importorskip("prometheus_client", reason="the extra [monitoring]")


class Counted(PrometheusMetrics):
    """Metrics of their own registry, and what they say."""

    def __init__(self, **options):
        self.registry = prometheus.CollectorRegistry()
        super().__init__(self.registry, **options)

    def __call__(self, name, **labels):
        value = self.registry.get_sample_value(f"cmml_client_{name}", labels)
        return 0 if value is None else value


def test_calls_latency_cache_and_scores_are_counted(contract_server):
    cache = ContextCache()
    counted = Counted(context_cache=cache, score_edges=[-1e9, 1e9])
    options = {"timeout": 20, "context_cache": cache, "observer": counted}
    with Client(contract_server.address, "cmml", **options) as client:
        for _ in range(3):
            answer = client.score(*TASK)
        client.recommend(*TASK[:3], "u7")
    method = {"model": "cmml", "method": "score"}
    assert counted("calls_total", outcome="OK", **method) == 3
    assert counted("calls_total", outcome="OK", model="cmml", method="recommend") == 1
    assert counted("call_seconds_count", **method) == 3
    assert 0 < counted("call_seconds_sum", **method) < 60
    assert counted("pairs_total", model="cmml") == 3 * len(answer.score)
    assert counted("score_bucket", model="cmml", le="1e+09") == 3 * len(answer.score)
    # The first call does not know which version it asks, and looks nothing up.
    assert counted("context_cache_hits_total") == cache.hits == 2
    assert counted("context_cache_misses_total") == cache.misses


def test_refusals_and_failures_are_counted_by_what_they_are(contract_server):
    counted = Counted()
    with (
        Client(contract_server.address, "cmml", timeout=20, observer=counted) as client,
        pytest.raises(InputError),
    ):
        client.score(["u1"], ["i1", "i2"], [1.0], "u7", ["i8"])
    with (
        Client("127.0.0.1:1", "cmml", timeout=20, max_attempts=1, observer=counted) as client,
        pytest.raises(grpc.RpcError),
    ):
        client.score(*TASK)
    with (
        Client(contract_server.address, "absent", timeout=20, observer=counted) as client,
        pytest.raises(grpc.RpcError),
    ):
        client.score(*TASK)
    method = {"model": "cmml", "method": "score"}
    assert counted("calls_total", outcome="INVALID_ARGUMENT", **method) == 1
    assert counted("calls_total", outcome="UNAVAILABLE", **method) == 1
    assert counted("calls_total", outcome="NOT_FOUND", model="absent", method="score") == 1


def test_unknown_ids_and_tasks_that_are_not_valid_are_counted():
    counted = Counted()
    known = [np.array([True, False]), np.array([False])]
    rows = [np.array([0.5, 0.1]), np.array([0.2])]
    answer = Scores(rows, known, 1, user_known=known, item_known=[k | True for k in known])
    counted.ended(EndedCall("cmml", "score", 0.01, answer))
    counted.ended(EndedCall("cmml", "score", 0.01, error=InputError("no", tasks=(0, 3))))
    assert counted("pairs_total", model="cmml") == 3
    assert counted("unknown_pairs_total", model="cmml", side="user") == 2
    assert counted("unknown_pairs_total", model="cmml", side="item") == 0
    assert counted("refused_tasks_total", model="cmml", method="score") == 2


def test_without_the_package_one_sentence_says_what_to_type(monkeypatch):
    monkeypatch.delitem(sys.modules, "prometheus_client")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"pip install 'cmml_tf\[monitoring\]'"):
        PrometheusMetrics()
