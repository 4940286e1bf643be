"""Web rules: CSRF, CORS, CSP, headers, cookies, bearer tokens, origins, limits, privacy."""
