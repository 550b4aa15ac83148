"""Commands that run the experiments of the paper and of this project."""
