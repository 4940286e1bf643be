"""Flows §6: a generation is graced from its own rotation, so a row knows when each of the last ones was."""

from __future__ import annotations

from bartizan.database.migrations.script import run_text

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    # Null but for a burst: it costs a bit then, and no index knows of it.
    run_text("ALTER TABLE families ADD COLUMN rotated_before timestamptz[]")


def downgrade() -> None:
    run_text("ALTER TABLE families DROP COLUMN rotated_before")
