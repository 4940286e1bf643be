"""Server 4: compiles Envoy configuration and keeps it current; never proxies a byte."""
