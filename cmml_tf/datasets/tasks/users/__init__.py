"""Users as tasks: of ratings, and of what they take."""
