-- The audit log survives its database: a tree over the chain's events (RFC 6962), and checkpoints of it that are signed
-- with a key from outside. None of these rows is ever changed either.

CREATE TABLE audit_log (
    tenant_id uuid PRIMARY KEY REFERENCES tenants,                             -- whose
    id        text NOT NULL UNIQUE CHECK (id ~ '^[a-z0-9-]{1,64}$'),           -- name of the log: no two ledgers share one
    made_at   timestamptz NOT NULL DEFAULT clock_timestamp()                   -- when it was named
);
COMMENT ON TABLE audit_log IS 'The name under which the log is signed';

CREATE TABLE audit_nodes (
    tenant_id uuid NOT NULL REFERENCES tenants,                                -- whose
    level     smallint NOT NULL CHECK (level BETWEEN 1 AND 62),                -- height above the leaves, which are audit_events.leaf
    index     bigint NOT NULL CHECK (index >= 0),                              -- place among the subtrees of that height
    hash      bytea NOT NULL CHECK (octet_length(hash) = 32),                  -- SHA-256(0x01 || left || right)
    PRIMARY KEY (level, index)
);
COMMENT ON TABLE audit_nodes IS 'Roots of the whole subtrees over the log; all can be made again from its leaves';

CREATE TABLE audit_epochs (
    tenant_id uuid NOT NULL REFERENCES tenants,                                -- whose
    number    integer PRIMARY KEY CHECK (number > 0),                          -- from 1, without gaps
    note      text NOT NULL,                                                   -- the new key, signed by the one before and by itself
    made_at   timestamptz NOT NULL DEFAULT clock_timestamp()                   -- when it was introduced
);
COMMENT ON TABLE audit_epochs IS 'The keys that sign checkpoints, one after another';

CREATE TABLE audit_checkpoints (
    tenant_id uuid NOT NULL REFERENCES tenants,                                -- whose
    size      bigint NOT NULL CHECK (size >= 0),                               -- number of events that it covers
    epoch     integer NOT NULL CHECK (epoch > 0),                              -- which key signs it
    note      text NOT NULL,                                                   -- the signed note
    made_at   timestamptz NOT NULL DEFAULT clock_timestamp(),                  -- when it was signed
    PRIMARY KEY (size, epoch)
);
COMMENT ON TABLE audit_checkpoints IS 'Where the log stood, signed';

-- Makes the nodes that are missing under a log of this size: for events that were linked before there was a tree, or by
-- an older binary.
CREATE FUNCTION audit_fill_nodes(log_size bigint) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    height smallint := 1;
BEGIN
    WHILE (1::bigint << height) <= log_size LOOP
        INSERT INTO audit_nodes (tenant_id, level, index, hash)
        WITH below AS (
            SELECT l.tenant_id, l.seq - 1 AS index, e.leaf AS hash
            FROM audit_links l JOIN audit_events e ON e.id = l.event_id
            WHERE height = 1 AND l.seq <= log_size
            UNION ALL
            SELECT n.tenant_id, n.index, n.hash FROM audit_nodes n WHERE height > 1 AND n.level = height - 1
        )
        SELECT l.tenant_id, height, l.index >> 1, sha256('\x01'::bytea || l.hash || r.hash)
        FROM below l JOIN below r ON r.index = l.index + 1 WHERE l.index & 1 = 0
        ON CONFLICT DO NOTHING;
        height := height + 1;
    END LOOP;
END $$;

INSERT INTO audit_log (tenant_id, id) SELECT id, replace(gen_random_uuid()::text, '-', '') FROM tenants;
SELECT audit_fill_nodes((SELECT coalesce(max(seq), 0) FROM audit_links));

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['audit_log', 'audit_nodes', 'audit_epochs', 'audit_checkpoints'] LOOP
        EXECUTE format('CREATE TRIGGER %1$s_stay BEFORE UPDATE OR DELETE OR TRUNCATE ON %1$I
                        FOR EACH STATEMENT EXECUTE FUNCTION audit_is_append_only()', name);
        EXECUTE format('ALTER TABLE %1$I ENABLE ALWAYS TRIGGER %1$s_stay', name);
    END LOOP;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'gk_ledger_runtime') THEN
        GRANT SELECT ON audit_log TO gk_ledger_runtime;
        GRANT SELECT, INSERT ON audit_nodes, audit_epochs, audit_checkpoints TO gk_ledger_runtime;
    END IF;
END $$;

REVOKE UPDATE, DELETE, TRUNCATE ON audit_log, audit_nodes, audit_epochs, audit_checkpoints FROM CURRENT_USER;
