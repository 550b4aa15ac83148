"""The command `cmml` and its subcommands, which `python pipelines/*.py` call too."""
