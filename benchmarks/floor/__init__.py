"""The floor: what the same work costs in a program that does nothing else.

Raw ASGI under the product's own uvicorn configuration, asyncpg and `cryptography` without anything between: no client
authentication, no limits, no events, no logs, no header of policy. Not a product, and not a bar: a ratio to read.
"""
