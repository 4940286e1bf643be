"""Server 9: metrics, logs, health, alert rules."""
