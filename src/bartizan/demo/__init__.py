"""Snapshots, a small photo-sharing app, and a print shop that is allowed to see some of it."""
