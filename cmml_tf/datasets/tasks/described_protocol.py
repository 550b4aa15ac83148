"""What a protocol and its known items and users are called, where people read."""

from cmml_tf.datasets.tasks.scenario_data import ScenarioData

_MEANING = {
    "strict": "nothing of a held-out scenario is known but its support set",
    "warm": "the embeddings know what other users took in held-out scenarios",
    "time": "what was before the held-out scenarios began is known",
}


def described_protocol(data: ScenarioData) -> list[str]:
    """Two lines: how new held-out scenarios are and why, and the known share of what is asked."""
    because = f" (chosen because {data.because})" if data.because else ""
    moment = f", {data.moment}" if data.moment else ""
    known = data.known_shares()
    return [
        f"protocol {data.protocol}{moment}: {_MEANING[data.protocol]}{because}",
        f"asked pairs whose item is known: {known['item']:.0%}, whose user is: "
        f"{known['user']:.0%}, both: {known['both']:.0%}",
    ]
