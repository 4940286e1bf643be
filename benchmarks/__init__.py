"""What the hot paths cost, measured on the real product beside a lean floor (design §9, docs/performance.md)."""
