"""Server 6: Valkey: limits, replay memory, short-lived state."""
