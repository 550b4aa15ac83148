"""How many requests are under way, with how much memory, and which are run as one."""
