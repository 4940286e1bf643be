"""Server 1: OAuth 2.1 and OpenID Connect provider, accounts and consoles."""
