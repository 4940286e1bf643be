"""OpenID Connect: ID token, userinfo, claims and logout, as pure functions."""
