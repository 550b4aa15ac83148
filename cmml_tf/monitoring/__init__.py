"""What is seen of a model in service: a client's metrics, and how far scores have drifted."""
