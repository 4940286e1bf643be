"""Settings in, Envoy's configuration out: plain dictionaries, no I/O (design §4).

`bootstrap.py` puts the parts together; `listener`, `filters`, `vhosts`, `app_routes`, `own_routes`, `clusters`,
`answers` and `access_log` write one part each; `published` writes what the agent replaces while Envoy runs.
"""
