-- 10_registry.sql: what the helpers remember in the target's database: settings, clock, packs, fence.
--
-- Owned by gk_owner, readable by nobody else but who is a member of it. What always holds: one fence row per
-- session, never two; a row that has left 'minted' never goes back; only the helpers write here.

CREATE TABLE IF NOT EXISTS gk.setting (
  name  text PRIMARY KEY,
  value int  NOT NULL CHECK (value >= 0),
  note  text NOT NULL
);
INSERT INTO gk.setting (name, value, note) VALUES
  ('min_iterations', 4096, 'fewest SCRAM iterations a verifier may have (1 to 20000); each costs this server CPU time'),
  ('settle_ms', 500, 'how long a role must be seen without a backend before it is dropped'),
  ('fence_keep_days', 30, 'how long the row of a closed session is kept; 0 is for ever'),
  ('spare_limit', 32, 'how many roles may wait ready-made for sessions to come; 0 is none'),
  ('spare_minutes', 60, 'how long such a role waits before it is dropped unused')
ON CONFLICT (name) DO NOTHING;

-- A clock that never goes back: `ahead` grows by whatever the server's clock jumps back, so that a session's
-- time goes on passing. One row, written by the sweep alone, so that mints do not queue for it.
CREATE TABLE IF NOT EXISTS gk.clock_mark (
  id       boolean     PRIMARY KEY DEFAULT true CHECK (id),
  max_seen timestamptz NOT NULL,
  ahead    interval    NOT NULL DEFAULT interval '0'
);
INSERT INTO gk.clock_mark (max_seen) VALUES (clock_timestamp()) ON CONFLICT (id) DO NOTHING;

CREATE TABLE IF NOT EXISTS gk.pack (
  name       text        NOT NULL CHECK (name ~ '^[a-z][a-z0-9_]{0,30}$'),
  version    text        NOT NULL CHECK (version ~ '^[a-z0-9][a-z0-9.-]{0,15}$'),
  digest     text        NOT NULL CHECK (digest ~ '^sha256:[0-9a-f]{64}$'),
  role_name  name        NOT NULL UNIQUE,
  role_oid   oid         NOT NULL UNIQUE,       -- the very role we made; another of the same name is refused
  max_ttl    interval    NOT NULL CHECK (max_ttl > interval '0' AND max_ttl <= interval '24 hours'),
  conn_limit int         NOT NULL CHECK (conn_limit BETWEEN 1 AND 50),
  max_live   int         NOT NULL CONSTRAINT pack_max_live_check CHECK (max_live BETWEEN 1 AND 20000),
  enabled    boolean     NOT NULL DEFAULT false,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (name, version)
);

-- Earlier texts of this file said 5000.
ALTER TABLE gk.pack DROP CONSTRAINT IF EXISTS pack_max_live_check;
ALTER TABLE gk.pack ADD CONSTRAINT pack_max_live_check CHECK (max_live BETWEEN 1 AND 20000);

-- How many sessions of a pack were live at which mint: with the mints since, a bound that saves counting at each.
CREATE SEQUENCE IF NOT EXISTS gk.mints;
CREATE TABLE IF NOT EXISTS gk.live_mark (
  pack         text   NOT NULL,
  pack_version text   NOT NULL,
  live         bigint NOT NULL,
  mints        bigint NOT NULL,
  PRIMARY KEY (pack, pack_version)
);

-- The application's schemas, as the last bootstrap was told: what the doctor expects every pack to reach.
CREATE TABLE IF NOT EXISTS gk.app_schema (
  name name PRIMARY KEY
);

-- One row per session: what the target itself knows of it, and the fence that late workers run into.
--   minted    the role may log in
--   blocked   ended, but the role's row is locked by the user: rights revoked, sessions cut, login ends at valid_until
--   disarmed  cannot log in any more, not dropped yet
--   stuck     the same, and something keeps it from being dropped: `detail` says what
--   closed    gone, or never made (role_oid is null): a tombstone for late mints
CREATE TABLE IF NOT EXISTS gk.fence (
  session      text        PRIMARY KEY CHECK (length(session) = 31 AND session ~ '^sess_[0-9A-HJKMNP-TV-Z]+$'),
  gen          bigint      NOT NULL CHECK (gen >= 0),
  state        text        NOT NULL CHECK (state IN ('minted', 'blocked', 'disarmed', 'stuck', 'closed')),
  role_name    name        NOT NULL UNIQUE,
  role_oid     oid,                             -- null: nothing was ever made
  pack         text,
  pack_version text,
  pack_digest  text,
  pack_role    name,
  subject      text        CHECK (length(subject) BETWEEN 1 AND 200),
  conn_limit   int,
  verifier_sha bytea,                           -- tells a repeated request from a rotated secret
  created_gen  bigint,                          -- the gen that made the role
  valid_until  timestamptz,                     -- by the server's clock, as the role has it
  ends_at      timestamptz,                     -- the same instant by the clock that never goes back
  minted_at    timestamptz,
  disarmed_at  timestamptz,
  disarmed_xid xid8,                            -- the drop must wait until this has committed
  quiet_since  timestamptz,                     -- seen without a backend from then on
  closed_at    timestamptz,
  tries        int         NOT NULL DEFAULT 0,  -- failed drops in a row
  next_try_at  timestamptz,
  detail       text,
  created_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
  CHECK (state <> 'minted' OR (pack_role IS NOT NULL AND valid_until IS NOT NULL AND ends_at IS NOT NULL)),
  CHECK ((state = 'closed') = (closed_at IS NOT NULL))
);
-- Earlier texts of this file let a regular expression count the characters, at each write.
DO $gk$
BEGIN
  IF EXISTS (SELECT FROM pg_constraint c WHERE c.conrelid = 'gk.fence'::regclass AND c.conname = 'fence_session_check'
                AND pg_get_constraintdef(c.oid) LIKE '%{26}%') THEN
    ALTER TABLE gk.fence DROP CONSTRAINT fence_session_check,
      ADD CONSTRAINT fence_session_check CHECK (length(session) = 31 AND session ~ '^sess_[0-9A-HJKMNP-TV-Z]+$');
  END IF;
END
$gk$;
CREATE INDEX IF NOT EXISTS fence_minted ON gk.fence (ends_at) WHERE state = 'minted';
CREATE INDEX IF NOT EXISTS fence_ending ON gk.fence (disarmed_at) WHERE state IN ('blocked', 'disarmed', 'stuck');
CREATE INDEX IF NOT EXISTS fence_live ON gk.fence (pack, pack_version) WHERE state <> 'closed';
CREATE INDEX IF NOT EXISTS fence_role ON gk.fence (role_oid);
CREATE INDEX IF NOT EXISTS fence_closed ON gk.fence (closed_at) WHERE state = 'closed';

-- Roles made ahead of need: no login, no right, no session, never used before. One row each, until it becomes a
-- session's role or is dropped.
CREATE TABLE IF NOT EXISTS gk.spare (
  verifier_sha bytea       PRIMARY KEY,         -- SHA-256 of the secret that it has: whoever mints with it gets this role
  role_name    name        NOT NULL UNIQUE,
  role_oid     oid         NOT NULL UNIQUE,
  maker_pid    int         NOT NULL,            -- the agent's connection that made it; dropped when that is gone
  made_at      timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- Which deadman watches this database. A row, not an advisory lock: any user may take an advisory lock.
CREATE TABLE IF NOT EXISTS gk.watch (
  id      boolean     PRIMARY KEY DEFAULT true CHECK (id),
  pid     int,
  beat_at timestamptz
);
INSERT INTO gk.watch DEFAULT VALUES ON CONFLICT (id) DO NOTHING;
