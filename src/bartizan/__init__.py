"""Bartizan: a self-hosted security stack for web apps. `docs/architecture.md` is the map of the house."""
