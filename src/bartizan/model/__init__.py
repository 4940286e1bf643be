"""Floor 1: a record a file, each the frozen value and the Protocol that keeps it."""
