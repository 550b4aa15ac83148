"""The Grafana dashboard: what it draws is what servers and clients say."""

import json
import re
from pathlib import Path

import pytest

from cmml_tf.client import ContextCache
from cmml_tf.monitoring.prometheus import PrometheusMetrics

DASHBOARD = json.loads(
    (Path(__file__).resolve().parents[2] / "export" / "grafana.json").read_text()
)
# The names that tensorflow_model_server registers.
SERVER = {
    *("request_count", "request_latency", "request_example_counts", "request_log_count"),
    *("runtime_latency", "model_warmup_latency", "batching_session:queuing_latency"),
}
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
EXPRESSIONS = [target["expr"] for panel in PANELS for target in panel["targets"]]


def test_every_metric_is_one_that_somebody_exports():
    prometheus = pytest.importorskip("prometheus_client", reason="the extra [monitoring]")
    registry = prometheus.CollectorRegistry()
    PrometheusMetrics(registry, ContextCache(), score_edges=[0.0, 1.0])
    ours = {family.name for family in registry.collect()}
    text = " ".join(EXPRESSIONS)
    names = {re.sub("_(bucket|sum|count)$", "", n) for n in re.findall(r"serving:([\w:]+)", text)}
    assert names - SERVER - {"request"} == set()
    shown = set(re.findall(r"cmml_client_\w+", text))
    assert {re.sub("_(bucket|total)$", "", name) for name in shown} == ours


def test_panels_lie_beside_each_other_and_say_what_they_are():
    taken = set()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert at["x"] + at["w"] <= 24
        assert not cells & taken
        taken |= cells
    assert all(panel["title"] and panel["description"] for panel in PANELS)
    assert all(panel["fieldConfig"]["defaults"]["unit"] for panel in PANELS)
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
    assert all(expression.count("(") == expression.count(")") for expression in EXPRESSIONS)
