"""Fixtures that more than one room's tests use."""

pytest_plugins = ["tests.fixtures.postgres", "tests.fixtures.valkey", "tests.fixtures.stack", "tests.fixtures.nodes"]
