"""Flows §7: ending many sessions writes each row once more; with room in its page, no index is touched."""

from __future__ import annotations

from bartizan.database.migrations.script import run_text

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    run_text("ALTER TABLE sessions SET (fillfactor = 50)")


def downgrade() -> None:
    run_text("ALTER TABLE sessions SET (fillfactor = 70)")
