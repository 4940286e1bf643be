"""Floor 0: the rules. Values in, values out; no I/O, no clock, no randomness, no framework."""
