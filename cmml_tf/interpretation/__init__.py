"""What a model has learnt, to look at: contexts of tasks and the routes they activate (4.3)."""
