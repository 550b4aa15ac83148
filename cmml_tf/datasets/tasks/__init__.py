"""From interactions and ratings to tasks: who is held out, and who is asked about what."""
