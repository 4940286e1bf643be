"""OAuth 2.1: parsing, checking and answering, as pure functions."""
