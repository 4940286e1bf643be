"""Floor 2: what our own servers share in answering HTTP."""
