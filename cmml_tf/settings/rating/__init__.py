"""Users: predict the ratings of people nobody has seen."""
