"""Tables in the paper's layout: its numbers only beside the same data, nothing left unsaid."""

import numpy as np
import pandas as pd
import pytest

from cmml_tf.experiments.comparison import Comparison
from cmml_tf.experiments.comparison_cell import Cell, CellResult
from cmml_tf.experiments.forms import FORMS
from cmml_tf.experiments.paper_layout import Part, layout, layout_json
from cmml_tf.experiments.paper_tables import PAPER_TABLES, TABLE_3_COLD
from cmml_tf.settings.systems import system_names
from cmml_tf.training.efficiency import Cost

TRAINED = ("cmml-film", "cmml-ridge", "pe", "se")


def comparison(out, setting, means):
    for system, values in means.items():
        for seed, own in enumerate(values):
            one = pd.DataFrame({"task": ["a"], "support": ["own"], "rows": [1]} | own)
            parts = {"own": one}
            for support in ("twin", "none") if system in TRAINED else ():
                parts[support] = one.assign(support=support)
                parts[support][list(own)] -= 0.01
            tasks = pd.concat(parts.values())
            found = {name: part[list(own)].iloc[0].to_dict() for name, part in parts.items()}
            Cell(system, seed).save(out, CellResult(tasks, found, {}, Cost(), str(seed)), {})
    cells = [Cell(system, seed) for system, values in means.items() for seed in range(len(values))]
    return Comparison.of(FORMS[setting], out, cells)


def rows_of(text):
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {row[0]: dict(zip(cells[0], row, strict=True)) for row in cells[2:]}


RECALL = ("recall@10", "recall@20", "recall@50", "recall@100")


def scenario_comparison(out):
    def own(level):
        return {name: level + n / 10 for n, name in enumerate(RECALL)} | {
            "recall@5": 0.1,
            "ndcg@10": 0.1,
            "mrr": 0.1,
        }

    return comparison(
        out,
        "scenario",
        {
            "item-pop": [own(0.40), own(0.42)],
            "cmml-film": [own(0.50), own(0.50)],
            "cmml-ridge": [own(0.45), own(0.45)],
        },
    )


def test_paper_numbers_stand_beside_the_same_data(tmp_path):
    table = PAPER_TABLES["table2"]
    columns = table.columns_of("ml-20m")
    part = Part("", scenario_comparison(tmp_path), columns, columns)
    text = layout("table2", table, [part], "ml-20m")
    rows = rows_of(text)
    assert list(rows)[:7] == [label for label, _ in table.rows]
    half = 12.7062 * np.std([40, 42], ddof=1) / 2**0.5
    assert rows["ItemPop"]["Recall@10"] == f"41.00 ± {half:.2f}"
    assert rows["ItemPop"]["context gain, Recall@10"] == ""
    assert rows["CMML-FiLM"]["context gain, Recall@10"] == "+1.00 ± 0.00"
    assert rows["CMML-FiLM"]["Recall@10"] == "**50.00 ± 0.00**"
    assert rows["DCN"]["Recall@10"] == "not run"
    assert "*CMML-ridge*" in rows
    # The last of several columns named "paper" is Recall@50's.
    assert rows["ItemPop"]["paper"] == "78.12 (78.12 ± 0.00)"
    assert rows["DCN"]["paper"] == "85.73 (86.19 ± 0.08)"
    assert "tables 2 and 6" in text
    assert layout_json([part], "ml-20m")["parts"][0]["paper"]["values"]["DCN"][0] == 31.5


def test_paper_numbers_of_other_data_are_left_out_and_it_says_so(tmp_path):
    table = PAPER_TABLES["table2"]
    part = Part("", scenario_comparison(tmp_path), table.columns[0], table.columns_of("my-log"))
    text = layout("table2", table, [part], "my-log")
    assert "paper" not in next(iter(rows_of(text).values()))
    assert "numbers are of MovieLens-20M and not comparable" in text
    assert "my-log, 2 seeds" in text


def test_systems_with_fewer_seeds_say_so(tmp_path):
    table = PAPER_TABLES["table4"]
    means = {
        name: [{"recall@10": level, "recall@20": level, "recall@50": level, "recall@5": level}] * n
        for name, level, n in (("pe", 0.5, 3), ("se", 0.4, 1))
    }
    part = Part("", comparison(tmp_path, "scenario", means), table.columns[0], None)
    text = layout("table4", table, [part], "my-log")
    rows = rows_of(text)
    assert (rows["PE"]["seeds"], rows["SE"]["seeds"], rows["SE-dot"]["seeds"]) == ("3", "1", "")
    assert rows["SE"]["Recall@10"] == "40.00"
    assert "1 to 3 seeds" in text


def test_table_3_has_warm_and_cold_columns(tmp_path):
    means = {"item-mean": [{"mae": 0.76, "ndcg@3": 0.75, "ndcg@1": 0.7}]}
    warm = comparison(tmp_path / "warm", "user", means)
    table = PAPER_TABLES["table3"]
    columns = table.columns_of("ml-1m")
    parts = [Part("W-W", warm, columns, columns), Part("C-W", warm, TABLE_3_COLD, TABLE_3_COLD)]
    # Only rows of systems that exist can be laid out.
    rows = rows_of(layout("table3", table, parts, "ml-1m"))
    assert rows["*item mean + user bias*"]["W-W MAE"] == "**0.7600**"
    assert rows["CMML-FiLM"]["C-W NDCG@3"] == "not run"
    assert rows["CMML-FiLM"]["paper"] == "0.76"


@pytest.mark.parametrize("name", PAPER_TABLES)
def test_every_number_has_its_row_and_every_row_its_system(name):
    table = PAPER_TABLES[name]
    labels = [label for label, _ in table.rows]
    for columns in table.columns:
        assert set(columns.values) <= set(labels)
        assert set(columns.five_seeds) <= set(columns.values)
        for values in (*columns.values.values(), *columns.five_seeds.values()):
            assert len(values) == len(columns.metrics)
    assert len(
        system_names(FORMS[table.setting].systems, ",".join(s for _, s in table.rows))
    ) == len(labels)
