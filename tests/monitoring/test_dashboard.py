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
LABEL = re.compile(r'(\w+)="([^"]*)"')
# Metric and labels of each series of a server.
SERIES = [
    (name, dict(LABEL.findall(labels)))
    for name, labels in re.findall(
        r"^([\w:]+){(.*)}$",
        Path(__file__).with_name("server_metrics.txt").read_text(),
        re.MULTILINE,
    )
]
SELECTOR = re.compile(r"(:tensorflow:[\w:]+)(?:{([^}]*)})?")
MATCHER = re.compile(r'(\w+)(=~|!=|=)"([^"]*)"')
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
EXPRESSIONS = [target["expr"] for panel in PANELS for target in panel["targets"]]


def selected(name, matchers, models):
    """The labels of the series that a selector finds; a label that is not there is empty."""
    fits = {
        "=": lambda value, wanted: value == wanted,
        "!=": lambda value, wanted: value != wanted,
        "=~": lambda value, wanted: re.fullmatch(wanted.replace("$model", models), value),
    }
    return [
        labels
        for metric, labels in SERIES
        if metric == name
        and all(fits[sign](labels.get(label, ""), wanted) for label, sign, wanted in matchers)
    ]


@pytest.mark.parametrize("models", ["cmml", "all"])
def test_every_expression_finds_its_metric_with_its_labels_at_a_real_server(models):
    if models == "all":
        (variable,) = (v for v in DASHBOARD["templating"]["list"] if v["name"] == "model")
        models = variable["allValue"]
    of_server = [expression for expression in EXPRESSIONS if ":tensorflow:" in expression]
    assert len(of_server) > 6
    for expression in of_server:
        for name, written in SELECTOR.findall(expression):
            # Errors of a status are found where there are some.
            matchers = MATCHER.findall(written or "")
            found = selected(name, matchers, models)
            assert found, (name, written)
            for labels in found:
                assert {label for label, _, _ in matchers} <= labels.keys()
                parts = re.findall(r"by \(([\w, ]+)\)", expression)
                assert set(", ".join(parts).split(", ")) <= {*labels, ""}
                # Loading has no model's name, and the status of a model is no request to it.
                assert labels.get("model_name", "cmml") == "cmml"
                assert "API" not in labels or labels["API"]


def test_every_metric_of_clients_is_drawn():
    prometheus = pytest.importorskip("prometheus_client", reason="the extra [monitoring]")
    registry = prometheus.CollectorRegistry()
    PrometheusMetrics(registry, ContextCache(), score_edges=[0.0, 1.0])
    ours = {family.name for family in registry.collect()}
    text = " ".join(EXPRESSIONS)
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
