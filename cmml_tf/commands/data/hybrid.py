"""Puts two data sets side by side as one, their embeddings aligned (the paper's Movie-Taobao).

cmml prepare --data path/to/ml-20m --out prepared/ml-20m
cmml prepare --data path/to/themes --out prepared/themes --scenario.max-items 20000
cmml hybrid --first prepared/ml-20m --second prepared/themes --out prepared/hybrid
cmml train scenario --data prepared/hybrid --preset cmml-film-hybrid
"""

import dataclasses
from collections.abc import Sequence

from cmml_tf.commands.options import parse, plain_options
from cmml_tf.config import ScenarioConfig, SplitConfig
from cmml_tf.config.preparation import HybridConfig
from cmml_tf.datasets.open_data import open_scenario_data
from cmml_tf.datasets.preparation.prepared_folder import save_prepared
from cmml_tf.datasets.sources.hybrid import combine_scenarios
from cmml_tf.datasets.tasks.scenario_data import ScenarioData
from cmml_tf.embeddings.matrix_factorisation import pretrained_embeddings


def main(argv: Sequence[str]) -> int:
    """Runs the command."""
    config = parse(HybridConfig, argv, __doc__)
    first, second = (_with_embeddings(data, config) for data in (config.first, config.second))
    both = combine_scenarios(first, second, config.alignment, config.seed)
    save_prepared(both, config.out, plain_options(config))
    for name, count in both.counts.items():
        print(f"  {name}: {count:,}")
    for line in both.described():
        print(f"  {line}")
    print(f"Written: {config.out}")
    return 0


def _with_embeddings(name: str, config: HybridConfig) -> ScenarioData:
    data = open_scenario_data(name, ScenarioConfig(), SplitConfig(), config.seed)
    user, item = pretrained_embeddings(data, config.embedding, config.seed)
    print(f"{data.name}: embeddings of {user.shape[1]} and {item.shape[1]} numbers")
    return dataclasses.replace(data, user_embeddings=user, item_embeddings=item)
