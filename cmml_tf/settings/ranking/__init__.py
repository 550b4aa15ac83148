"""Clicks of new users: rank a catalogue for people nobody has seen."""
