"""The first schema: design §6."""

from __future__ import annotations

from bartizan.database.migrations.script import run_script

revision = "0001"
down_revision = None


def upgrade() -> None:
    run_script("0001_first.sql")
    run_job_queue()


def run_job_queue() -> None:
    """PgQueuer's own tables, from its own statements."""
    from pgqueuer.adapters.persistence.qb import QueryBuilderEnvironment

    from bartizan.database.migrations.script import run_text

    run_text(QueryBuilderEnvironment().build_install_query())


def downgrade() -> None:
    raise NotImplementedError("There is nothing before the first schema: restore a backup.")
