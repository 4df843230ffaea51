-- Targets with several servers, and a ledger that is older than what was seen outside of it: restored from a backup, or
-- failed over to a copy that was behind.

ALTER TABLE targets ADD COLUMN endpoints jsonb;              -- its servers as its agent last saw them; NULL: there is one
ALTER TABLE orphans ADD COLUMN condemned_at timestamptz;     -- an admin wants it ended before its time

CREATE TABLE recoveries (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant_id   uuid NOT NULL REFERENCES tenants,                          -- whose
    cause       text NOT NULL
                CHECK (cause IN ('audit_regression', 'generation_ahead', 'unknown_session')),   -- what is ahead of the ledger
    detail      text NOT NULL,                                             -- what was found, and who says so
    head        text,                                                      -- the witnessed checkpoint that the log contradicts
    found_at    timestamptz NOT NULL DEFAULT clock_timestamp(),            -- since when nothing is granted
    accepted_at timestamptz,                                               -- when an admin took the ledger as it is
    accepted_by text,                                                      -- who
    reason      text CHECK (char_length(reason) BETWEEN 1 AND 1000),       -- why, in their words
    CONSTRAINT accepted_is_whole  CHECK (num_nonnulls(accepted_at, accepted_by, reason) IN (0, 3)),
    CONSTRAINT head_is_of_the_log CHECK ((cause = 'audit_regression') = (head IS NOT NULL))
);
COMMENT ON TABLE recoveries IS 'What showed that the ledger went back; while one is open nothing is granted';
CREATE UNIQUE INDEX recoveries_open ON recoveries (tenant_id, cause, coalesce(head, '')) WHERE accepted_at IS NULL;

DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'gk_ledger_runtime') THEN
        GRANT SELECT, INSERT, UPDATE ON recoveries TO gk_ledger_runtime;
    END IF;
END $$;
