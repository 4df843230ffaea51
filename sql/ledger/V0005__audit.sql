-- The audit log: events are inserted with the change they tell of; a sealer links them into one chain afterwards.
-- No row is ever updated or removed, by nobody: triggers refuse it even to the owner of the tables.

CREATE TABLE audit_events (
    id        uuid PRIMARY KEY,                                    -- evt_
    tenant_id uuid NOT NULL REFERENCES tenants,                    -- whose
    txid      xid8 NOT NULL DEFAULT pg_current_xact_id(),          -- transaction of the change, which orders events
    canonical text NOT NULL,                                       -- the bytes that are hashed, exactly as they were made
    leaf      bytea NOT NULL,                                      -- SHA-256(0x00 || canonical)
    action    text NOT NULL GENERATED ALWAYS AS (canonical::jsonb ->> 'action') STORED,   -- for filters only
    actor     text NOT NULL GENERATED ALWAYS AS (canonical::jsonb ->> 'actor') STORED,    -- for filters only
    object    text NOT NULL GENERATED ALWAYS AS (canonical::jsonb ->> 'object') STORED,   -- for filters only
    CONSTRAINT leaf_fits CHECK (leaf = sha256('\x00'::bytea || convert_to(canonical, 'UTF8')))
);
COMMENT ON TABLE audit_events IS 'What happened; one row at least for every change';
CREATE INDEX audit_events_by_txid ON audit_events (txid, id);
CREATE INDEX audit_events_by_object ON audit_events (object);

CREATE TABLE audit_links (
    tenant_id uuid NOT NULL REFERENCES tenants,                            -- whose
    seq       bigint PRIMARY KEY CHECK (seq > 0),                          -- place in the log, from 1, without gaps
    event_id  uuid NOT NULL UNIQUE,                                        -- the event at that place; it cannot vanish
    prev      bytea NOT NULL CHECK (octet_length(prev) = 32),              -- hash of the link before
    hash      bytea NOT NULL UNIQUE CHECK (octet_length(hash) = 32),       -- SHA-256(0x02 || prev || seq || leaf)
    upto      xid8 NOT NULL,                                               -- every event of a transaction before this one is linked
    linked_at timestamptz NOT NULL DEFAULT clock_timestamp()               -- when the link was made
);
COMMENT ON TABLE audit_links IS 'The chain over the events';

CREATE FUNCTION audit_is_append_only() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit log is append-only: % on % is refused', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'insufficient_privilege';
END $$;

CREATE TRIGGER audit_events_stay BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_events
    FOR EACH STATEMENT EXECUTE FUNCTION audit_is_append_only();
CREATE TRIGGER audit_links_stay BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_links
    FOR EACH STATEMENT EXECUTE FUNCTION audit_is_append_only();
-- ALWAYS: a session that plays replica does not get past them.
ALTER TABLE audit_events ENABLE ALWAYS TRIGGER audit_events_stay;
ALTER TABLE audit_links ENABLE ALWAYS TRIGGER audit_links_stay;

-- The owner too has no right to it; a foreign key to audit_events would need UPDATE here, so there is none.
REVOKE UPDATE, DELETE, TRUNCATE ON audit_events, audit_links FROM CURRENT_USER;
