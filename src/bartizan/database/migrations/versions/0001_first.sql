-- Design §6, flows §6–§8. Times are the database's. Secrets appear as SHA-256 fingerprints or sealed, never in clear.

CREATE TABLE meta (
    one   boolean PRIMARY KEY DEFAULT true CHECK (one),
    epoch integer NOT NULL DEFAULT 1 CHECK (epoch > 0)
);
INSERT INTO meta DEFAULT VALUES;

-- People

CREATE TABLE users (
    id         uuid PRIMARY KEY,
    name       text NOT NULL,
    admin      boolean NOT NULL DEFAULT false,
    disabled   boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL
);

CREATE TABLE identifiers (
    key      text PRIMARY KEY,  -- identifier_key(email): what is unique
    user_id  uuid NOT NULL UNIQUE REFERENCES users ON DELETE CASCADE,
    email    text NOT NULL,
    verified boolean NOT NULL DEFAULT false
);

CREATE TABLE credentials (
    user_id    uuid PRIMARY KEY REFERENCES users ON DELETE CASCADE,
    password   text NOT NULL,  -- argon2id
    changed_at timestamptz NOT NULL
);

CREATE TABLE sessions (
    id           uuid PRIMARY KEY,
    user_id      uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    fingerprint  bytea NOT NULL UNIQUE,
    created_at   timestamptz NOT NULL,
    auth_time    timestamptz NOT NULL,
    last_seen_at timestamptz NOT NULL,
    expires_at   timestamptz NOT NULL,
    device       text NOT NULL,
    network      text NOT NULL,
    ended_at     timestamptz,
    ended_reason text
) WITH (fillfactor = 70);
CREATE INDEX sessions_user ON sessions (user_id);

-- Clients, and what people allowed them

CREATE TABLE clients (
    id                        text PRIMARY KEY,
    kind                      text NOT NULL,
    name                      text NOT NULL,
    auth_method               text NOT NULL,
    secret_fingerprint        bytea,
    redirect_uris             text[] NOT NULL,
    post_logout_redirect_uris text[] NOT NULL,
    redirect_onward           text[] NOT NULL,
    origins                   text[] NOT NULL,
    grants                    text[] NOT NULL,
    scopes                    text[] NOT NULL,
    audience                  text[] NOT NULL,
    first_party               boolean NOT NULL,
    mode                      text NOT NULL,
    homepage                  text NOT NULL,
    operator                  text NOT NULL,
    checked_at                timestamptz,
    owner                     text NOT NULL CHECK (owner IN ('file', 'console')),
    disabled                  boolean NOT NULL,
    created_at                timestamptz NOT NULL
);

CREATE TABLE consents (
    id           uuid PRIMARY KEY,
    user_id      uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    client_id    text NOT NULL REFERENCES clients ON DELETE CASCADE,
    scopes       text[] NOT NULL,
    granted_at   timestamptz NOT NULL,
    until        timestamptz,
    last_used_at timestamptz,
    UNIQUE (user_id, client_id)
);

-- Single use

CREATE TABLE codes (
    fingerprint    bytea PRIMARY KEY,
    client_id      text NOT NULL,
    user_id        uuid NOT NULL,
    session_id     uuid NOT NULL,
    redirect_uri   text,
    code_challenge text NOT NULL,
    scopes         text[] NOT NULL,
    audience       text[] NOT NULL,
    nonce          text,
    csrf           text,
    auth_time      timestamptz NOT NULL,
    expires_at     timestamptz NOT NULL,
    family_id      uuid,  -- what it bought: set when spent
    spent_at       timestamptz
);

CREATE TABLE pushed (
    fingerprint bytea PRIMARY KEY,
    client_id   text NOT NULL,
    request     bytea NOT NULL,
    expires_at  timestamptz NOT NULL
);

CREATE TABLE interactions (
    id          uuid PRIMARY KEY,
    fingerprint bytea NOT NULL UNIQUE,
    request     bytea NOT NULL,
    client_id   text NOT NULL,
    created_at  timestamptz NOT NULL,
    expires_at  timestamptz NOT NULL,
    user_id     uuid,
    done        boolean NOT NULL DEFAULT false
);

CREATE TABLE links (
    id         uuid PRIMARY KEY,
    kind       text NOT NULL,
    user_id    uuid REFERENCES users ON DELETE CASCADE,
    detail     jsonb NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    used_at    timestamptz
);

-- Refresh families (F§6): one row each, however often it rotates. No index holds a column that a rotation changes
-- but BRIN, which a HOT update may touch, and half of each page stays free for the next version.

CREATE TABLE families (
    id             uuid PRIMARY KEY,
    user_id        uuid NOT NULL,
    client_id      text NOT NULL,
    session_id     uuid,
    scopes         text[] NOT NULL,
    audience       text[] NOT NULL,
    csrf           text,
    bff            boolean NOT NULL,
    nonce          text,
    auth_time      timestamptz NOT NULL,
    generation     integer NOT NULL,
    key_id         text NOT NULL,
    created_at     timestamptz NOT NULL,
    rotated_at     timestamptz NOT NULL,
    idle_until     timestamptz NOT NULL,
    absolute_until timestamptz NOT NULL,
    graced         boolean NOT NULL DEFAULT false,  -- this generation's predecessor came again within 10 s
    graced_run     smallint NOT NULL DEFAULT 0,     -- such generations in a row
    late_gen       integer,                         -- the generation whose late retry was counted last
    late_count     smallint NOT NULL DEFAULT 0,
    late_since     timestamptz,
    ended_at       timestamptz,
    ended_reason   text
) WITH (
    fillfactor = 50,
    autovacuum_vacuum_scale_factor = 0.1,
    autovacuum_analyze_scale_factor = 0.5
);
CREATE INDEX families_user ON families (user_id);
CREATE INDEX families_session ON families (session_id) WHERE session_id IS NOT NULL;
CREATE INDEX families_client ON families (client_id);
CREATE INDEX families_idle ON families USING brin (idle_until) WITH (pages_per_range = 16);
CREATE INDEX families_rotated ON families USING brin (rotated_at) WITH (pages_per_range = 16);

-- What was ended, for the feed (F§7)

CREATE TABLE ended (
    gid    uuid PRIMARY KEY,
    at     timestamptz NOT NULL,
    until  timestamptz NOT NULL
);
CREATE INDEX ended_at ON ended (at);

CREATE TABLE signing_keys (
    kid        text PRIMARY KEY,
    algorithm  text NOT NULL,
    public_jwk jsonb NOT NULL,
    sealed     bytea NOT NULL,
    created_at timestamptz NOT NULL,
    active_at  timestamptz NOT NULL,
    retired_at timestamptz,
    removed_at timestamptz
);

-- Security events, a partition a day. The default one catches what no day expects, so that an event never fails.

CREATE TABLE events (
    id           uuid NOT NULL,
    at           timestamptz NOT NULL DEFAULT now(),
    code         text NOT NULL,
    user_id      uuid,
    client_id    text,
    session_id   uuid,
    gid          uuid,
    request_id   text NOT NULL,
    address_hash bytea,
    network      text NOT NULL,
    detail       jsonb NOT NULL,
    PRIMARY KEY (at, id)
) PARTITION BY RANGE (at);
CREATE INDEX events_user ON events (user_id, at) WHERE user_id IS NOT NULL;
CREATE TABLE events_default PARTITION OF events DEFAULT;

-- Makes the partition of a day (UTC) and moves into it what the default one caught. False when it was there.
CREATE FUNCTION make_event_day(day date) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    name  text := 'events_' || to_char(day, 'YYYYMMDD');
    first timestamptz := day::timestamp AT TIME ZONE 'UTC';
    after timestamptz := (day + 1)::timestamp AT TIME ZONE 'UTC';
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended(name, 0));
    IF to_regclass(name) IS NOT NULL THEN
        RETURN false;
    END IF;
    LOCK TABLE events_default IN ACCESS EXCLUSIVE MODE;
    EXECUTE format('CREATE TABLE %I (LIKE events INCLUDING DEFAULTS INCLUDING CONSTRAINTS)', name);
    EXECUTE format(
        'WITH moved AS (DELETE FROM events_default WHERE at >= %L AND at < %L RETURNING *) INSERT INTO %I SELECT * FROM moved',
        first, after, name);
    EXECUTE format('ALTER TABLE events ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', name, first, after);
    RETURN true;
END
$$;
SELECT make_event_day((now() AT TIME ZONE 'UTC')::date + ahead) FROM generate_series(0, 3) AS ahead;

CREATE TABLE event_seals (
    number    bigint PRIMARY KEY,
    first_at  timestamptz NOT NULL,
    last_at   timestamptz NOT NULL,
    rows      integer NOT NULL,
    digest    bytea NOT NULL,
    signature text NOT NULL
);

-- The key of the day, under which addresses are hashed: destroyed with the events of its day.
CREATE TABLE day_keys (
    day    date PRIMARY KEY,
    sealed bytea NOT NULL
);

-- Sign-in tries, counted here while the cache is away

CREATE TABLE attempts (
    key   bytea PRIMARY KEY,
    count integer NOT NULL,
    until timestamptz NOT NULL
) WITH (fillfactor = 70);

-- Files: the row decides, the bytes lie in the object store

CREATE TABLE files (
    id         uuid PRIMARY KEY,
    owner      uuid NOT NULL,
    name       text NOT NULL,
    media_type text NOT NULL,
    size       bigint NOT NULL CHECK (size >= 0),
    sha256     bytea NOT NULL,
    width      integer,
    height     integer,
    thumbnail  boolean NOT NULL,
    created_at timestamptz NOT NULL
);
CREATE INDEX files_owner ON files (owner, id);

CREATE TABLE file_usage (
    owner uuid PRIMARY KEY,
    used  bigint NOT NULL CHECK (used >= 0)
) WITH (fillfactor = 70);
