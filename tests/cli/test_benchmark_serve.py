"""The measurement of a server under load, with loads too short to mean anything."""

import json

import pytest


@pytest.mark.slow
def test_every_figure_of_the_server_is_printed_as_json(commands):
    short = ("--rounds", 1, "--seconds", 0.1, "--odd-requests", 200)
    done = commands.run("benchmark.py", "serve", *short)
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)["serve"]
    cases = ("trivial", "full", "full_keras_gru", "with_context")
    assert set(figures["requests_per_second"]) == {
        f"{server}, {case}, {clients} clients"
        for server in ("plain", "batching")
        for case in cases
        for clients in (1, 8)
    }
    assert min(figures["requests_per_second"].values()) > 0
    assert min(figures["ratios"].values()) > 0
    assert 0 < figures["start_to_first_answer_seconds"] < 120
    reliability = figures["reliability"]
    assert [part["failed"] for part in reliability.values()] == [0, 0, 0]
    assert reliability["hot_swap"]["mixed"] == 0
    assert reliability["hot_swap"]["versions"] > 1
    assert reliability["fuzz"]["answered"] + reliability["fuzz"]["refused"] == 200
