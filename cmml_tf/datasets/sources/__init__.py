"""What others publish, and a table of your own: each a file that turns it into interactions."""
