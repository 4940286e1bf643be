"""Floor 4: configuration, wiring, supervisor and command line."""
