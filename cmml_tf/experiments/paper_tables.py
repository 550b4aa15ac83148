"""The paper's tables: their rows and columns, and the numbers printed in them. No TensorFlow.

Values are percent for recall, as the paper prints them; `five_seeds` are those of the appendix,
mean and 1.96 standard errors (the paper's "confidence interval"; over 5 seeds it covers 88%), where
it repeats a table with 5 seeds.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class PaperColumns:
    """A table's columns on one data set.

    Attributes:
      data: The data set, as the paper calls it.
      metrics: Our names of its columns.
      values: Row label to the printed numbers, column by column.
      five_seeds: Row label to (mean, half width), column by column.
      reference: Where the numbers stand.
    """

    data: str
    metrics: tuple[str, ...]
    values: Mapping[str, tuple[float, ...]]
    five_seeds: Mapping[str, tuple[tuple[float, float], ...]] = field(default_factory=dict)
    reference: str = ""


@dataclass(frozen=True)
class PaperTable:
    """One table.

    Attributes:
      title: Its caption.
      setting: `scenario` or `user`.
      rows: (label, system): the paper's rows in its order.
      columns: One entry a data set, the first stands for data that the paper does not have.
    """

    title: str
    setting: str
    rows: tuple[tuple[str, str], ...]
    columns: tuple[PaperColumns, ...]

    def columns_of(self, data: str) -> PaperColumns | None:
        """The columns of a data set by our name of it; None if the paper has no such numbers."""
        name = PAPER_DATA.get(data)
        return next((one for one in self.columns if one.data == name), None)


PAPER_DATA = {
    "ml-20m": "MovieLens-20M",
    "ml-1m": "MovieLens-1M",
    "taobao": "Taobao",
    "hybrid": "Hybrid Movie-Taobao",
}
"""Our names of the paper's data sets; a folder counts by its name."""

_SMALL = ("recall@10", "recall@20", "recall@50")
_LARGE = ("recall@20", "recall@50", "recall@100")

_TABLE_2 = PaperTable(
    "Top-N recall",
    "scenario",
    (
        ("DCN", "dcn"),
        ("DCN-F", "dcn-f"),
        ("ItemPop", "item-pop"),
        ("CoNet", "conet"),
        ("s2Meta", "s2meta"),
        ("CMML-FiLM", "cmml-film"),
        ("CMML-Soft-M", "cmml-soft-m"),
    ),
    (
        PaperColumns(
            "MovieLens-20M",
            _SMALL,
            {
                "DCN": (31.50, 52.27, 85.73),
                "DCN-F": (41.08, 60.59, 86.83),
                "ItemPop": (39.65, 54.33, 78.12),
                "CoNet": (46.27, 63.11, 86.98),
                "s2Meta": (47.52, 66.09, 89.08),
                "CMML-FiLM": (47.36, 65.32, 88.69),
                "CMML-Soft-M": (47.32, 65.62, 88.81),
            },
            {
                "DCN": ((31.25, 0.12), (52.92, 0.18), (86.19, 0.08)),
                "DCN-F": ((39.18, 0.19), (59.39, 0.24), (86.32, 0.08)),
                "ItemPop": ((39.65, 0.00), (54.33, 0.00), (78.12, 0.00)),
                "CoNet": ((46.37, 0.08), (63.93, 0.12), (87.29, 0.05)),
                "s2Meta": ((47.56, 0.02), (66.09, 0.04), (89.08, 0.02)),
                "CMML-FiLM": ((47.06, 0.07), (65.14, 0.04), (88.48, 0.02)),
                "CMML-Soft-M": ((47.31, 0.05), (65.65, 0.04), (88.75, 0.02)),
            },
            "tables 2 and 6",
        ),
        PaperColumns(
            "Taobao",
            _LARGE,
            {
                "DCN": (23.52, 39.21, 56.27),
                "DCN-F": (20.69, 35.56, 52.26),
                "ItemPop": (21.94, 36.11, 38.19),
                "CoNet": (20.27, 31.48, 44.53),
                "s2Meta": (25.52, 42.03, 58.12),
                "CMML-FiLM": (25.77, 42.30, 58.77),
                "CMML-Soft-M": (25.56, 42.19, 58.66),
            },
            {
                "DCN": ((22.58, 0.14), (38.88, 0.13), (55.05, 0.20)),
                "DCN-F": ((22.57, 0.23), (37.67, 0.14), (53.77, 0.24)),
                "ItemPop": ((21.94, 0.00), (36.11, 0.00), (38.19, 0.00)),
                "s2Meta": ((24.99, 0.22), (40.98, 0.16), (57.30, 0.14)),
                "CMML-FiLM": ((25.24, 0.13), (41.84, 0.14), (58.42, 0.17)),
                "CMML-Soft-M": ((25.26, 0.08), (42.07, 0.04), (58.66, 0.09)),
            },
            "tables 2 and 7",
        ),
        PaperColumns(
            "Hybrid Movie-Taobao",
            _LARGE,
            {
                "DCN": (35.12, 57.13, 72.05),
                "DCN-F": (37.30, 55.85, 69.75),
                "ItemPop": (35.00, 52.76, 61.02),
                "s2Meta": (39.36, 56.84, 70.19),
                "CMML-FiLM": (40.74, 59.92, 73.85),
                "CMML-Soft-M": (40.47, 59.94, 73.76),
            },
            {
                "DCN": ((34.06, 0.67), (56.80, 0.40), (71.77, 0.32)),
                "DCN-F": ((36.60, 0.50), (55.66, 0.27), (69.56, 0.36)),
                "ItemPop": ((35.00, 0.00), (52.76, 0.00), (61.02, 0.00)),
                "s2Meta": ((39.35, 0.30), (58.01, 0.17), (70.88, 0.18)),
                "CMML-FiLM": ((40.52, 0.25), (59.94, 0.08), (73.77, 0.10)),
                "CMML-Soft-M": ((40.75, 0.08), (60.02, 0.10), (73.89, 0.09)),
            },
            "tables 2 and 8",
        ),
    ),
)

_TABLE_3 = PaperTable(
    "Performance in MovieLens-1M (W-W: trained and asked on warm users; C-W: trained on cold ones)",
    "user",
    (
        ("DCN", "dcn"),
        ("DCN-F", "dcn-f"),
        ("MetaDNN", "metacs-dnn"),
        ("MELU", "melu"),
        ("CMML-FiLM", "cmml-film"),
    ),
    (
        PaperColumns(
            "MovieLens-1M",
            ("mae", "ndcg@3"),
            {
                "DCN": (0.869, 0.693),
                "DCN-F": (0.831, 0.683),
                "MetaDNN": (0.726, 0.772),
                "MELU": (0.725, 0.771),
                "CMML-FiLM": (0.727, 0.771),
            },
            reference="table 3, W-W",
        ),
    ),
)

TABLE_3_COLD = PaperColumns(
    "MovieLens-1M",
    ("mae", "ndcg@3"),
    {
        "DCN": (0.907, 0.665),
        "DCN-F": (0.847, 0.679),
        "MetaDNN": (0.733, 0.765),
        "MELU": (0.734, 0.763),
        "CMML-FiLM": (0.745, 0.760),
    },
    reference="table 3, C-W",
)
"""Table 3 for models trained on cold users."""

_TABLE_4 = PaperTable(
    "Context encoder and hybrid context generator, all with linear modulation",
    "scenario",
    (
        ("Non-negative", "non-negative"),
        ("PE", "pe"),
        ("SE", "se"),
        ("SE-MLP", "se-mlp"),
        ("SE-dot", "se-dot"),
    ),
    (
        PaperColumns(
            "MovieLens-20M",
            _SMALL,
            {
                "Non-negative": (31.67, 52.69, 86.20),
                "PE": (40.05, 61.24, 87.78),
                "SE": (44.30, 63.82, 88.10),
                "SE-MLP": (46.37, 65.18, 88.61),
                "SE-dot": (47.29, 65.50, 88.62),
            },
            {
                "Non-negative": ((32.83, 0.98), (54.35, 0.90), (86.49, 0.16)),
                "PE": ((37.35, 0.57), (58.85, 0.51), (87.34, 0.09)),
                "SE": ((41.24, 0.66), (61.94, 0.43), (87.95, 0.08)),
                "SE-MLP": ((46.62, 0.07), (65.25, 0.07), (88.68, 0.04)),
                "SE-dot": ((47.20, 0.07), (65.52, 0.05), (88.66, 0.02)),
            },
            "tables 4 and 9",
        ),
    ),
)

_TABLE_5 = PaperTable(
    "Results for different modulation networks",
    "scenario",
    (("Linear", "linear"), ("S-LM", "s-lm"), ("F-LM", "f-lm"), ("Soft-M", "soft-m")),
    (
        PaperColumns(
            "MovieLens-20M",
            _SMALL[:2],
            {
                "Linear": (47.29, 65.50),
                "S-LM": (47.21, 65.39),
                "F-LM": (47.36, 65.32),
                "Soft-M": (47.32, 65.62),
            },
            {
                "Linear": ((47.20, 0.07), (65.52, 0.05)),
                "S-LM": ((47.16, 0.05), (65.49, 0.08)),
                "F-LM": ((47.06, 0.07), (65.14, 0.04)),
                "Soft-M": ((47.31, 0.05), (65.65, 0.04)),
            },
            "tables 5 and 6",
        ),
        PaperColumns(
            "Taobao",
            _LARGE[:2],
            {
                "Linear": (24.63, 41.30),
                "S-LM": (24.68, 41.39),
                "F-LM": (25.77, 42.30),
                "Soft-M": (25.56, 42.19),
            },
            {
                "Linear": ((24.77, 0.15), (41.49, 0.18)),
                "S-LM": ((25.29, 0.14), (42.05, 0.13)),
                "F-LM": ((25.24, 0.13), (41.84, 0.14)),
                "Soft-M": ((25.26, 0.08), (42.07, 0.04)),
            },
            "tables 5 and 7",
        ),
    ),
)

PAPER_TABLES = {"table2": _TABLE_2, "table3": _TABLE_3, "table4": _TABLE_4, "table5": _TABLE_5}
"""The paper's tables by name."""
