"""Flows §7: what was ended stays listed for as long as any process's access tokens live (`database/lifetimes.py`)."""

from __future__ import annotations

from bartizan.database.migrations.script import run_text

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    run_text(
        "ALTER TABLE meta ADD COLUMN listed_seconds integer NOT NULL DEFAULT 0, ADD COLUMN listed_until timestamptz"
    )


def downgrade() -> None:
    run_text("ALTER TABLE meta DROP COLUMN listed_seconds, DROP COLUMN listed_until")
