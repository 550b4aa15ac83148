"""The command that trains for new users' clicks: which objective is meant, and a whole run."""

import json

import pytest
import yaml
from ranking.small_clicks import clicks

from cmml_tf.commands.train_user import main


def printed(capsys, *arguments):
    assert main([*arguments, "--print-config"]) == 0
    return yaml.safe_load(capsys.readouterr().out)


def test_the_objective_is_ratings_unless_it_is_said(capsys, tmp_path):
    assert printed(capsys)["objective"] == "rating"
    ranking = printed(capsys, "--objective", "ranking", "--liked", "4")
    assert (ranking["objective"], ranking["liked"]) == ("ranking", 4.0)
    assert ranking["preset"] == "table-mixture"
    file = tmp_path / "run.yaml"
    file.write_text(yaml.safe_dump(ranking))
    assert printed(capsys, "--config", str(file)) == ranking


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--objective", "clicks"], "`objective` must be one of rating, ranking. Received: obj"),
        (["--liked", "4"], "Unrecognized options: --liked"),
        (["--objective", "ranking", "--top-k", "0"], "`top_k` must be a positive integer"),
        (["--objective", "ranking", "--model.folds", "1"], "`folds` must be at least 2"),
        (["--objective", "ranking", "--model.dropouts", "1"], "`dropouts` must be one or more"),
    ],
)
def test_what_is_not_accepted_is_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        main(arguments)


@pytest.mark.slow
def test_one_command_trains_evaluates_and_exports(commands):
    clicks().to_csv(commands.folder / "clicks.csv", index=False)
    done = commands.run(
        *("train_user.py", "--objective", "ranking", "--data", "clicks.csv", "--quick"),
        *("--run-dir", "run", "--model.folds", "3"),
    )
    assert done.returncode == 0, done.stderr
    metrics = json.loads((commands.folder / "run" / "metrics.json").read_text())
    assert [*metrics["curve"]] == ["0", "1", "3", "5", "10", "80%"]
    assert "users who are asked: 18" in done.stdout
    assert (commands.folder / metrics["export"] / "saved_model.pb").is_file()
    assert metrics["lists"]["own"].keys() == {"coverage@20", "popularity@20", "novelty@20"}
    assert "By items taken" in (commands.folder / "run" / "report.html").read_text()
    again = commands.run("evaluate.py", "run")
    assert again.returncode == 0, again.stderr
    evaluated = json.loads((commands.folder / "run" / "evaluation.json").read_text())
    assert evaluated["curve"] == metrics["curve"]
