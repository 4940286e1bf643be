"""Decision 0015: every statement that changes clients leaves a mark, in its own transaction, whoever runs it.

The marks that a reader sees are the same as before only if no change of clients was committed in between:

- A mark is drawn at random, so it is never there twice; not after a restore to an earlier day either.
- A transaction leaves its own and takes away those of others. What another holds at that moment it leaves alone, so
  that nobody waits here for anybody, and two changes at once leave two marks.
- Of all that were committed between two looks, nobody can have taken away the last one's: who did would have to see it
  first, and commit later still.
"""

from __future__ import annotations

from bartizan.database.migrations.script import run_text

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    # SECURITY DEFINER: who may change clients need not be let write marks. Its path ends with pg_temp, which else comes
    # first: a temporary table of theirs would take the marks, and its defaults would run with the owner's rights.
    # ALWAYS: in a replica's session too.
    run_text(
        """
        CREATE TABLE client_changes (
            mark   uuid PRIMARY KEY DEFAULT gen_random_uuid(),
            writer xid8 NOT NULL DEFAULT pg_current_xact_id()  -- so that the thousandth row adds no thousandth mark
        );
        INSERT INTO client_changes DEFAULT VALUES;

        CREATE FUNCTION mark_client_change() RETURNS trigger LANGUAGE plpgsql
        SECURITY DEFINER AS $$
        BEGIN
            IF NOT EXISTS (SELECT FROM client_changes WHERE writer = pg_current_xact_id()) THEN
                WITH free AS MATERIALIZED (SELECT mark FROM client_changes FOR UPDATE SKIP LOCKED)
                DELETE FROM client_changes USING free WHERE client_changes.mark = free.mark;
                INSERT INTO client_changes DEFAULT VALUES;
            END IF;
            RETURN NULL;
        END
        $$;
        DO $$
        BEGIN
            EXECUTE format('ALTER FUNCTION mark_client_change() SET search_path = %I, pg_temp', current_schema());
        END
        $$;
        CREATE TRIGGER marked AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON clients
            FOR EACH STATEMENT EXECUTE FUNCTION mark_client_change();
        ALTER TABLE clients ENABLE ALWAYS TRIGGER marked;
        """
    )


def downgrade() -> None:
    run_text("DROP TRIGGER marked ON clients; DROP FUNCTION mark_client_change(); DROP TABLE client_changes")
