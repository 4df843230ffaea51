-- Roles of our pattern that a target holds and the ledger does not know: after a restore of either side, or by a hand
-- behind our back. Kept so that each is logged once, and shown until it is gone.

CREATE TABLE orphans (
    target_id     uuid NOT NULL REFERENCES targets,       -- where
    session_id    uuid NOT NULL,                          -- session that the role's name stands for; not in this ledger
    tenant_id     uuid NOT NULL REFERENCES tenants,       -- whose
    armed         boolean NOT NULL,                       -- whether it can log in
    backends      bigint NOT NULL,                        -- its connections
    valid_until   timestamptz,                            -- its end by the target's clock
    detail        text,                                   -- what the agent said of it
    first_seen_at timestamptz NOT NULL DEFAULT now(),     -- when it was logged
    last_seen_at  timestamptz NOT NULL DEFAULT now(),     -- last observation that named it
    PRIMARY KEY (target_id, session_id)
);
COMMENT ON TABLE orphans IS 'Roles on targets that no session explains';

DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'gk_ledger_runtime') THEN
        GRANT SELECT, INSERT, UPDATE, DELETE ON orphans TO gk_ledger_runtime;
    END IF;
END $$;
