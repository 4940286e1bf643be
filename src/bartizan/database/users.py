"""People. The e-mail address is an identifier of theirs, unique in one spelling; ids are pseudonyms."""

from __future__ import annotations

from uuid import UUID

from asyncpg.exceptions import UniqueViolationError

from bartizan.database import ending
from bartizan.database.rows import read, read_or_none
from bartizan.database.within import Within
from bartizan.model.users import User, identifier_key

COLUMNS = """
    users.id, email, verified AS email_verified, name, admin, disabled, created_at, changed_at AS password_changed_at
"""
PEOPLE = """
    users
    JOIN identifiers ON identifiers.user_id = users.id
    LEFT JOIN credentials ON credentials.user_id = users.id
"""
SELECT = f"SELECT {COLUMNS} FROM {PEOPLE}"
# What a password opens begins in the transaction of this, and only if it finds a row. Who changes the password waits
# for that, and then ends what began by the old one; or was first, and nothing begins.
HOLD_PASSWORD = "SELECT FROM credentials WHERE user_id = $1 AND password = $2 FOR NO KEY UPDATE"  # noqa: S105 - no password


class PostgresUsers:
    def __init__(self, within: Within) -> None:
        self._within = within
        self._connection = within.connection

    async def add(self, user: User, password_hash: str | None) -> bool:
        """One statement: it takes the identifier or leaves nothing behind."""
        added = await self._connection.fetchval(
            """
            WITH taken AS (
                INSERT INTO identifiers (key, user_id, email, verified) VALUES ($2, $1, $3, $5)
                ON CONFLICT (key) DO NOTHING RETURNING user_id
            ), person AS (
                INSERT INTO users (id, name, admin, disabled, created_at)
                SELECT user_id, $4, $6, $7, $8 FROM taken
            ), secret AS (
                INSERT INTO credentials (user_id, password, changed_at)
                SELECT user_id, $9, coalesce($10, now()) FROM taken WHERE $9::text IS NOT NULL
            )
            SELECT user_id FROM taken
            """,
            user.id, identifier_key(user.email), user.email.strip(), user.name, user.email_verified,
            user.admin, user.disabled, user.created_at, password_hash, user.password_changed_at,
        )  # fmt: skip
        return added is not None

    async def by_id(self, user_id: UUID) -> User | None:
        return read_or_none(User, await self._connection.fetchrow(f"{SELECT} WHERE users.id = $1", user_id))

    async def by_email(self, email: str) -> User | None:
        row = await self._connection.fetchrow(f"{SELECT} WHERE identifiers.key = $1", identifier_key(email))
        return read_or_none(User, row)

    async def by_email_to_sign_in(self, email: str) -> tuple[User, str | None] | None:
        row = await self._connection.fetchrow(
            f"SELECT {COLUMNS}, password FROM {PEOPLE} WHERE identifiers.key = $1", identifier_key(email)
        )
        return None if row is None else (read(User, row), row["password"])

    async def password_hash(self, user_id: UUID) -> str | None:
        found: str | None = await self._connection.fetchval(
            "SELECT password FROM credentials WHERE user_id = $1", user_id
        )
        return found

    async def hold_password(self, user_id: UUID, password_hash: str) -> bool:
        return bool(await self._connection.fetch(HOLD_PASSWORD, user_id, password_hash))

    async def set_password(self, user_id: UUID, password_hash: str) -> None:
        """With it dies every link that was to set one: whoever asked for it, it is not needed, or not theirs."""
        await self._connection.execute(
            """
            WITH dead AS (DELETE FROM links WHERE user_id = $1 AND kind = 'reset' AND used_at IS NULL)
            INSERT INTO credentials (user_id, password, changed_at) VALUES ($1, $2, now())
            ON CONFLICT (user_id) DO UPDATE SET password = excluded.password, changed_at = excluded.changed_at
            """,
            user_id,
            password_hash,
        )

    async def set_name(self, user_id: UUID, name: str) -> None:
        await self._connection.execute("UPDATE users SET name = $2 WHERE id = $1", user_id, name)

    async def set_email(self, user_id: UUID, email: str, *, verified: bool) -> bool:
        """The unique key decides between two who want it; the savepoint keeps the caller's transaction whole. What
        was mailed to the address before, to set a password or another address, opens nothing any more."""
        try:
            async with self._connection.transaction():
                await self._connection.execute(
                    "UPDATE identifiers SET key = $2, email = $3, verified = $4 WHERE user_id = $1",
                    user_id,
                    identifier_key(email),
                    email.strip(),
                    verified,
                )
                await self._connection.execute(
                    "DELETE FROM links WHERE user_id = $1 AND kind IN ('reset', 'email', 'verify') AND used_at IS NULL",
                    user_id,
                )
        except UniqueViolationError:
            return False
        return True

    async def set_verified(self, user_id: UUID) -> None:
        await self._connection.execute("UPDATE identifiers SET verified = true WHERE user_id = $1", user_id)

    async def set_disabled(self, user_id: UUID, disabled: bool) -> bool:
        """A locked person's sessions and families end with it, those of `offline_access` too. Unlocked, they sign in
        again: a password that was being verified when they were locked opened a session that nobody ended then."""
        async with self._connection.transaction():
            changed = await self._connection.fetchval(
                "UPDATE users SET disabled = $2 WHERE id = $1 AND disabled <> $2 RETURNING true", user_id, disabled
            )
            if disabled or changed:
                await self._end_everything(user_id, "user.disabled" if disabled else "user.enabled")
        return changed is not None

    async def search(self, text: str, *, limit: int, offset: int) -> list[User]:
        rows = await self._connection.fetch(
            f"""{SELECT}
            WHERE $1 = '' OR position($1 IN identifiers.key) > 0 OR position($1 IN lower(name)) > 0
            ORDER BY users.id DESC LIMIT $2 OFFSET $3
            """,
            identifier_key(text),
            limit,
            offset,
        )
        return [read(User, row) for row in rows]

    async def count(self) -> int:
        return int(await self._connection.fetchval("SELECT count(*) FROM users"))

    async def any_admin(self) -> bool:
        return bool(await self._connection.fetchval("SELECT EXISTS (SELECT FROM users WHERE admin AND NOT disabled)"))

    async def delete(self, user_id: UUID) -> None:
        async with self._connection.transaction():
            # First, as whoever makes a code by one, or withdraws it, holds that first (redemptions.py).
            await self._connection.execute("DELETE FROM consents WHERE user_id = $1", user_id)
            await self._end_everything(user_id, "user.deleted")
            for statement in (
                "DELETE FROM families WHERE user_id = $1",
                "DELETE FROM codes WHERE user_id = $1",
                "DELETE FROM interactions WHERE user_id = $1",
                "DELETE FROM files WHERE owner = $1",
                "DELETE FROM file_usage WHERE owner = $1",
                "DELETE FROM users WHERE id = $1",  # identifiers, credentials, sessions, links go with it
            ):
                await self._connection.execute(statement, user_id)

    async def _end_everything(self, user_id: UUID, reason: str) -> None:
        await self._connection.execute(
            "UPDATE sessions SET ended_at = now(), ended_reason = $2 WHERE user_id = $1 AND ended_at IS NULL",
            user_id,
            reason,
        )
        await ending.end_families(self._within, ending.OF_USER, reason, user_id)
