"""What a support says of every item of a catalogue at once."""
