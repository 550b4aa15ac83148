"""The report of a run: says what the folder says, in one file, whatever names the data has."""

import json
import re
import shutil
from html.parser import HTMLParser
from xml.etree import ElementTree

import pandas as pd
import pytest
from reports.made_run import CONTROLS, METRIC, made_run

from cmml_tf.reports import markup
from cmml_tf.reports.run_page import write_run_report
from cmml_tf.settings.rating.form import RATING
from cmml_tf.settings.scenario.form import SCENARIO

NAMES = [f"shelf {number}" for number in range(12)]
HOSTILE = (
    "<script>alert(1)</script>",
    'a" onload="x',
    "$\\frac{1$ & $5_off$",
    "夏のセール 🎉",
    "NA",
    "_hidden",
    "007",
    "line\nbreak\x07\x0b",
    "x" * 300,
)
SECTIONS = ("systems", "curve", "groups", "known", "training", "lists", "export", "made-of")


class _Page(HTMLParser):
    """Elements, and the rows of each section's tables."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.rows, self.section, self._cell = [], {}, None, None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag == "section":
            self.section = dict(attrs)["id"]
        elif tag == "tr":
            self.rows.setdefault(self.section, []).append([])
        elif tag in ("td", "th"):
            self._cell = ""

    def handle_endtag(self, tag):
        if tag in ("td", "th"):
            self.rows[self.section][-1].append(self._cell)
            self._cell = None

    def handle_data(self, data):
        if self._cell is not None:
            self._cell += data


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A folder, what its metrics say, and its page."""
    folder = tmp_path_factory.mktemp("run")
    metrics = made_run(folder, NAMES)
    return folder, metrics, write_run_report(folder, SCENARIO).read_text()


def test_every_section_says_what_the_folder_says(run):
    _, metrics, text = run
    page = _Page(text)
    assert tuple(a["id"] for tag, a in page.elements if tag == "section") == SECTIONS
    assert metrics["verdict"]["sentence"] in text
    systems = {row[0]: row for row in page.rows["systems"]}
    assert systems["cmml-matching"][2] == f"{metrics['meta_test'][METRIC]:.4f} ± 0.0400"
    assert systems["ItemPop"][2] == f"{metrics['controls']['item_pop'][METRIC]:.4f} ± 0.0300"
    gain = metrics["verdict"]["differences"]["item_pop"]["difference"]
    assert systems["ItemPop"][1] == f"{gain:+.4f} ± 0.0500"
    means = [float(row[2].split()[0]) for row in page.rows["systems"][1:]]
    assert means == sorted(means, reverse=True)
    assert len(means) == 1 + len(CONTROLS)
    curve = {row[0]: row for row in page.rows["curve"]}
    assert curve["cmml-matching"][1] == f"{metrics['curve']['0']['own'][METRIC]:.4f}"
    assert [row[0] for row in page.rows["known"]][:2] == [METRIC, "cmml-matching"]
    assert page.rows["lists"][-1] == ["what was taken", "0.6000", "0.2000", "3.0000"]
    assert ["serving_default", "3.80", "23.30"] in page.rows["export"]
    assert "9.3 MB in export/1" in text
    assert ["interactions read", "12,345"] in page.rows["made-of"]
    assert "c" * 64 in text


def test_who_gains_and_who_loses_are_sorted_and_counted(run):
    folder, _, text = run
    rows = _Page(text).rows["groups"]
    systems = ["cmml-matching", "none", "ItemPop"]
    counts = ["(scenario, user) rankings", "pairs to be found"]
    assert rows[0] == ["scenarios", "gain", *systems, *counts]
    gains = [float(row[1]) for row in rows[1:]]
    assert gains == sorted(gains, reverse=True)
    assert {row[0] for row in rows[1:]} == set(NAMES)
    for row in rows[1:]:
        own, none, item_pop = map(float, row[2:5])
        assert float(row[1]) == pytest.approx(own - max(none, item_pop), abs=2e-4)
    above = sum(gain > 0 for gain in gains)
    assert f"Of 12 scenarios: {above} with a gain by cmml-matching over none and ItemPop" in text
    assert (folder / "figures" / "tasks.svg").exists()


def test_the_file_stands_alone_and_is_the_same_again(run):
    folder, _, text = run
    page = _Page(text)
    assert len(text) < 3_000_000
    assert not [tag for tag, _ in page.elements if tag in ("script", "img", "iframe", "object")]
    loaded = [a[n] for _, a in page.elements for n in ("href", "src", "xlink:href") if n in a]
    assert [one for one in loaded if not one.startswith(("#", "data:"))] == []
    assert "@import" not in text
    assert not re.search(r"url\((?!#)", text)
    idents = [a["id"] for _, a in page.elements if "id" in a]
    assert all(one[1:] in idents for one in loaded if one.startswith("#"))
    assert write_run_report(folder, SCENARIO).read_text() == text


def test_every_figure_is_a_file_too(run):
    folder, _, text = run
    drawn = [a for tag, a in _Page(text).elements if tag == "svg"]
    files = sorted((folder / "figures").glob("*.svg"))
    assert len(files) == len(drawn) == 9
    assert all(a["aria-label"] for a in drawn)
    for file in files:
        assert ElementTree.parse(file).getroot().tag.endswith("svg")


def test_names_of_any_kind_are_shown_and_do_nothing(tmp_path):
    made_run(tmp_path, HOSTILE)
    text = write_run_report(tmp_path, SCENARIO).read_text()
    page = _Page(text)
    assert "script" not in {tag for tag, _ in page.elements}
    assert not [a for _, a in page.elements if "onload" in a]
    shown = {row[0] for row in page.rows["groups"]}
    assert set(HOSTILE[:7]) <= shown
    assert "\x07" not in text
    ElementTree.parse(tmp_path / "figures" / "tasks.svg")


def test_many_scenarios_are_shown_by_their_ends_and_in_groups(tmp_path):
    made_run(tmp_path, [f"shelf {number}" for number in range(10_000)])
    text = write_run_report(tmp_path, SCENARIO).read_text()
    assert len(text) < 3_000_000
    rows = _Page(text).rows["groups"]
    by_name = [row for row in rows if row[0].startswith("shelf ")]
    assert len(by_name) == 30
    groups = [row for row in rows if " to " in row[0]]
    assert len(groups) == 8
    assert sum(int(row[5].replace(",", "")) for row in groups) == pytest.approx(
        10_000 * 102, rel=0.1
    )


def test_whoever_stands_in_the_table_is_drawn_losers_too(tmp_path):
    names = [f"shelf {number}" for number in range(60)]
    made_run(tmp_path, names)
    write_run_report(tmp_path, SCENARIO)
    picture = (tmp_path / "figures" / "tasks.svg").read_text()
    assert sorted(re.findall(r"(shelf \d+) \(", picture)) == sorted(names)


def test_users_are_never_named(tmp_path):
    names = [f"person-{number}" for number in range(30)]
    metrics = made_run(tmp_path, names)
    metrics["meta_test"] = {"mae": 0.7, "ndcg@3": 0.8}
    metrics["controls"] = {name: {"mae": 0.8, "ndcg@3": 0.7} for name in ("none", "item_mean")}
    metrics["verdict"]["differences"] = {}
    for key in ("parts", "lists", "curve"):
        metrics[key] = {}
    (tmp_path / "metrics.json").write_text(json.dumps(metrics))
    csv = ["name,users,known ratings,mae,ndcg@3,mae of none,mae of item_mean"]
    csv += [f"{name},1,{10 + k},0.7,0.8,{0.6 + k / 100},0.8" for k, name in enumerate(names)]
    (tmp_path / "meta_test_users.csv").write_text("\n".join(csv))
    text = write_run_report(tmp_path, RATING).read_text()
    assert "person-" not in text
    rows = _Page(text).rows["groups"]
    assert rows[0][-1] == "known ratings"
    assert sum(int(row[-2]) for row in rows[1:]) == 30
    # Lower is better: who had the worst without a support gains most.
    assert float(rows[1][1]) > float(rows[-1][1])
    assert "no list is recommended" in text


def test_a_record_that_says_less_makes_a_shorter_page(tmp_path):
    metrics = made_run(tmp_path, NAMES)
    for key in ("lists", "controls_interval", "export_cost", "export", "curve", "parts"):
        del metrics[key]
    (tmp_path / "metrics.json").write_text(json.dumps(metrics))
    (tmp_path / "meta_test_scenarios.csv").unlink()
    shutil.rmtree(tmp_path / "twin")
    text = write_run_report(tmp_path, SCENARIO).read_text()
    kept = tuple(a["id"] for tag, a in _Page(text).elements if tag == "section")
    assert kept == ("systems", "training", "export", "made-of")
    assert "This run has exported nothing." in text


def test_what_is_undefined_is_a_dash_and_neither_gains_nor_loses(tmp_path):
    metrics = made_run(tmp_path, NAMES)
    metrics["meta_test"][METRIC] = metrics["controls"]["als_fold_in"][METRIC] = None
    metrics["meta_test_interval"] = dict.fromkeys(metrics["meta_test_interval"])
    for one in metrics["verdict"]["differences"].values():
        one["difference"] = one["interval"] = None
    metrics["parts"]["own"]["known_users"][METRIC] = metrics["curve"]["4"]["own"][METRIC] = None
    metrics["lists"]["own"]["coverage@10"] = metrics["lists"]["taken"]["coverage"] = None
    (tmp_path / "metrics.json").write_text(json.dumps(metrics))
    file = tmp_path / "meta_test_scenarios.csv"
    table = pd.read_csv(file)
    table.loc[:2, METRIC] = None
    table.loc[3, f"{METRIC} of item_pop"] = None
    table.to_csv(file, index=False)
    text = write_run_report(tmp_path, SCENARIO).read_text()
    assert not re.search(r"[>\s+]nan\b|None", text)
    rows = _Page(text).rows
    assert {row[0] for row in rows["groups"][1:]} == set(NAMES[4:])
    assert "Of 8 scenarios" in text
    assert next(row for row in rows["systems"] if row[0] == "ItemPop")[1] == "\N{EN DASH}"
    assert rows["curve"][1][3] == "\N{EN DASH}"


def test_a_run_without_controls_is_reported_alone(tmp_path):
    metrics = made_run(tmp_path, NAMES)
    for key in ("controls", "controls_interval", "control_settings"):
        metrics[key] = {}
    metrics["verdict"]["differences"] = {}
    for key in ("parts", "lists"):
        metrics[key] = {name: one for name, one in metrics[key].items() if name in ("own", "taken")}
    metrics["curve"] = {size: {"own": one["own"]} for size, one in metrics["curve"].items()}
    (tmp_path / "metrics.json").write_text(json.dumps(metrics))
    file = tmp_path / "meta_test_scenarios.csv"
    table = pd.read_csv(file)
    table[[name for name in table if " of " not in name]].to_csv(file, index=False)
    rows = _Page(write_run_report(tmp_path, SCENARIO).read_text()).rows
    assert rows.keys() == {*SECTIONS} - {"groups"}
    assert [row[0] for row in rows["systems"]] == ["system", "cmml-matching"]


def test_what_is_missing_or_damaged_is_named(tmp_path):
    made_run(tmp_path, NAMES)
    (tmp_path / "model" / "metrics.jsonl").write_text("{")
    with pytest.raises(ValueError, match=r"model/metrics\.jsonl is damaged"):
        write_run_report(tmp_path, SCENARIO)
    (tmp_path / "metrics.json").unlink()
    with pytest.raises(FileNotFoundError, match="not finished"):
        write_run_report(tmp_path, SCENARIO)


def test_names_are_broken_behind_signs_that_join_words_and_nowhere_else():
    rows = [['Würzige "Suppe" & <b>', 1], ["Drama@1990s/b-c", 2]]
    text = markup.table(["name", "count"], rows)
    assert "Würzige &quot;Suppe&quot; &amp; &lt;b&gt;<" in text
    assert "Drama@<wbr>1990s/<wbr>b-<wbr>c<" in text
