"""Server 7: PostgreSQL, the only truth."""
