-- How far each sink of the audit log has got: what was delivered, what is on its way, and who delivers.

CREATE TABLE audit_sinks (
    tenant_id    uuid NOT NULL REFERENCES tenants,                                     -- whose
    name         text PRIMARY KEY CHECK (name ~ '^[a-z0-9][a-z0-9_-]{0,62}$'),         -- as the settings call it
    event        bigint NOT NULL DEFAULT 0 CHECK (event >= 0),                         -- events up to this place were delivered
    size         bigint NOT NULL DEFAULT 0 CHECK (size >= 0),                          -- and checkpoints up to this size
    epoch        integer NOT NULL DEFAULT 0 CHECK (epoch >= 0),                        --   and this epoch
    next_event   bigint,                                                               -- where the batch ends that is on its way, so
    next_size    bigint,                                                               --   that it is the same batch when it is sent
    next_epoch   integer,                                                              --   again; NULL: none is
    holder       uuid,                                                                 -- the process that delivers
    held_until   timestamptz,                                                          -- and until when nobody else does
    tries        integer NOT NULL DEFAULT 0 CHECK (tries >= 0),                        -- deliveries in a row that it did not take
    not_before   timestamptz,                                                          -- until then nobody tries again
    delivered_at timestamptz,                                                          -- when something was delivered last
    made_at      timestamptz NOT NULL DEFAULT clock_timestamp(),                       -- when a control plane first had it
    CONSTRAINT batch_is_whole  CHECK (num_nonnulls(next_event, next_size, next_epoch) IN (0, 3)),
    CONSTRAINT batch_goes_on   CHECK (next_event >= event AND (next_size, next_epoch) >= (size, epoch)),
    CONSTRAINT holder_is_whole CHECK (num_nonnulls(holder, held_until) IN (0, 2))
);
COMMENT ON TABLE audit_sinks IS 'How far each sink of the audit log has got';

DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'gk_ledger_runtime') THEN
        GRANT SELECT, INSERT, UPDATE ON audit_sinks TO gk_ledger_runtime;
    END IF;
END $$;
