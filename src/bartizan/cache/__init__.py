"""Server 6: Valkey: limits."""
