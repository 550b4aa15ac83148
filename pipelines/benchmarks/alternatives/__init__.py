"""What a user would pick instead, beside ours: quality on the same episodes, cost of a request."""
