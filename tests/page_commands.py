"""Every command line of the pages: the test that runs it, or why none does.

A line is run by a test if the test runs that command in that way; files and sizes are the test's
own. `tests/test_page_commands.py` reads this.
"""

_TRAIN = "tests/cli/test_train_scenario.py::test_own_table_with_a_time_limit_on_the_training"
_USER = "tests/cli/test_train_user.py::test_one_command_trains_evaluates_and_exports"
_RANKING = "tests/cli/test_train_ranking.py::test_one_command_trains_evaluates_and_exports"
_COMPARE = "tests/cli/experiments/test_compare.py::"
_COMPARED = f"{_COMPARE}test_killed_comparison_continues_and_ends_with_the_same_table"
_PREPARED = "tests/cli/data/test_prepare.py::test_a_prepared_folder_is_trained_on"
_IMPORT = "tests/cli/test_import_weights.py::test_the_command_exports_a"
_FIRST = "tests/test_first_model.py::test_a_page_leads_to_a_recommendation"

RUN_BY = {
    "cmml train scenario --data clicks.csv --run-dir runs/first --max-minutes 5": _FIRST,
    "cmml train user --objective ranking --data clicks.csv --run-dir runs/newcomers": _FIRST,
    "cmml promote export/candidates/1 --on clicks.csv": _FIRST,
    "cmml promote export-ranking/candidates/1 --on clicks.csv": _FIRST,
    'cmml serve --model_name=cmml --model_base_path="$PWD/export-ranking" --port=8500 '
    "--rest_api_port=8501 &": _FIRST,
    'cmml serve --model_name=cmml --model_base_path="$PWD/export" --port=8500 '
    "--rest_api_port=8501 &": _FIRST,
    "curl --silent --retry 300 --retry-delay 1 --retry-all-errors --fail "
    "localhost:8501/v1/models/cmml": _FIRST,
    'curl --silent --data \'{"signature_name": "recommend", "inputs": {': _FIRST,
    "kill %1": _FIRST,
    "cmml prepare --data path/to/ml-20m --out prepared/ml-20m": _PREPARED,
    "cmml train scenario --data prepared/ml-20m": _PREPARED,
    "cmml import-weights WEIGHTS.npz --export-dir DIR": (
        f"{_IMPORT}_model_that_gives_the_recorded_scores"
    ),
    "cmml import-weights USER.npz --catalogue FEATURES.npz --export-dir DIR": (
        f"{_IMPORT}_user_model_that_gives_the_recorded_scores"
    ),
    "cmml train user --objective ranking --data clicks.parquet": _RANKING,
    "cmml evaluate runs/ranking-table-mixture-movielens-small-0": (
        "tests/cli/test_train_scenario.py::test_an_evaluation_s_numbers_are_those_of_the_training_command"
    ),
    "cmml compare --systems item-pop,dcn,cmml-film --data FOLDER --seeds 5 --steps 1000": _COMPARED,
    "cmml train scenario --data log.parquet --run-dir runs/first": _TRAIN,
    "cmml train user --data FOLDER": _USER,
    "cmml train scenario --require better-than=item_pop,twin": (
        "tests/cli/test_train_scenario.py::test_what_is_not_as_good_as_required_is_not_exported"
    ),
    "TF_CONFIG": (
        "tests/cli/test_train_strategies.py::"
        "test_after_a_worker_is_killed_both_start_again_and_end_as_one_process"
    ),
    "cmml drift export served.csv": (
        "tests/monitoring/test_drift_command.py::"
        "test_the_newest_version_of_a_base_path_or_the_one_that_is_named"
    ),
    "python pipelines/whole_catalogue.py": (
        "tests/cli/test_whole_catalogue.py::test_a_new_shelf_s_own_items_are_recommended"
    ),
    "python pipelines/tfrs_rerank.py": (
        "tests/cli/test_tfrs_rerank.py::"
        "test_recall_before_and_after_is_printed_and_the_server_is_gone"
    ),
}
"""Beginning of a line, to a test that runs such a command."""

_INSTALLS = "an installation; .ci/run and the workflows make theirs on a clean machine"
_REAL_SERVER = (
    "needs TensorFlow Serving; tests/serving/shipped/test_recommended_command.py starts the "
    "development server with these flags, and .github/workflows/serving.yml the real one"
)
_PROMOTION = (
    "tests/operation/test_gate.py promotes through the functions that the command calls, and "
    "tests/test_first_model.py by the command"
)
_DOWNLOADS = "needs a data set that is not free to be shipped"
_HOURS = "takes hours"
_MEASURES = "measures for minutes; tests do not measure time"

NOT_RUN = {
    "pip install -e": _INSTALLS,
    "pytest": "runs tests",
    "ruff format . && ruff check . && mypy": "of .ci/run, which checks and does not rewrite",
    "mkdocs build --strict": "of .github/workflows/docs.yml",
    "tensorflow_model_server": _REAL_SERVER,
    "cmml promote export/candidates/1 --on movielens-small": _PROMOTION,
    "cmml promote export/candidates/1 --on new.parquet": _PROMOTION,
    "cmml promote runs/new/7 --against /models/cmml --on new.parquet": _PROMOTION,
    "cmml evaluate export/3 --data new.parquet": "tests/operation/test_evaluation.py evaluates "
    "through the function that the command calls",
    "curl -d": (
        "the same request as tests/serving/server sends it, at the default run's address; the line "
        "is longer than this list compares"
    ),
    'printf \'"Bearer %s"': "writes into /etc/nginx; tests/serving/shipped/test_shipped_proxy.py "
    "writes such a file elsewhere",
    "cmml adaptation all": _HOURS,
    "cmml train user --objective ranking --liked 4": "trains on all of movielens-small: minutes",
    "cmml train user --objective ranking --data ml-1m": _DOWNLOADS,
    "cmml train user --preset ridge --data ml-1m": _DOWNLOADS,
    "cmml train user --data FOLDER --tasks": "needs the tasks of others; tests/datasets reads such "
    "files",
    "cmml train user": "trains on all of movielens-small: minutes",
    "cmml user-results runs/user-*": "puts whole trainings side by side; tests/experiments/"
    "test_rating_summary.py does with recorded ones",
    "cmml reproduce table2": _HOURS,
    "cmml compare --systems item-pop,dcn,dcn-f": _HOURS,
    "cmml compare --systems item-pop,als-fold-in,cmml-matching --seeds 5": "trains ten networks; "
    "tests/cli/experiments/test_compare.py compares smaller ones",
    "cmml compare --setting user": _DOWNLOADS,
    "cmml train scenario --export-dir export": "a whole training: minutes; "
    "tests/cli trains smaller ones",
    "cmml train scenario --data log.csv --curve.draws 2": "logs of others, minutes each; tests/cli "
    "trains on smaller ones",
    "cmml train scenario --data log.csv --items items.csv": "as the line before",
    "cmml train user --objective ranking --data log.csv": "as the line before",
    "cmml train user --data ratings.csv": "as the line before",
    "cmml export runs/first --refit": "tests/ranking and tests/test_api.py refit through the "
    "function that the command calls",
    "cmml export runs/film --compile 1x192x100": "tests/serving/version/test_compiled.py exports "
    "through the function that the command calls",
    "cmml train scenario --data log.parquet --run-dir runs/monday": "two trainings; tests/settings/"
    "test_continued.py continues through the function that the command calls",
    "cmml train scenario --data log.parquet --run-dir runs/tuesday": "as the line before",
    "python pipelines/benchmark.py alternatives": "trains models: minutes; "
    "tests/cli/test_benchmark_alternatives.py tries what it measures with",
    "python pipelines/benchmark.py requests": _MEASURES,
    "python pipelines/benchmark.py recommend": _MEASURES,
    "python pipelines/benchmark.py xla": _MEASURES,
    "python pipelines/benchmark.py training": _MEASURES,
    "python pipelines/benchmark.py encoder": _MEASURES,
    "python pipelines/benchmark.py help": _MEASURES,
    "python pipelines/benchmark.py daily": "takes an hour, and needs a log of two weeks",
}
"""Beginning of a line, to the reason why no test runs it."""
