"""What a reader of the paper runs: comparisons, its tables, its figures."""
