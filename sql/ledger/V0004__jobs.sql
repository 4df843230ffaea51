-- Jobs: hints for speed. Emptying this table loses nothing: the scan makes anew what sessions still need.

CREATE TABLE jobs (
    id               uuid PRIMARY KEY,                                                  -- job_
    tenant_id        uuid NOT NULL REFERENCES tenants,                                  -- whose
    session_id       uuid NOT NULL REFERENCES sessions,                                 -- about which session
    target_id        uuid NOT NULL REFERENCES targets,                                  -- where it is to be done
    kind             text NOT NULL CHECK (kind IN ('create', 'revoke', 'extend')),      -- what is to be done
    lane             smallint NOT NULL CHECK (lane IN (0, 1, 2)),                       -- 0 ends and extensions, 1 beginnings, 2 ends that keep failing
    state            text NOT NULL DEFAULT 'queued'
                     CHECK (state IN ('queued', 'leased', 'done', 'dead')),             -- dead: overtaken or given up
    run_at           timestamptz NOT NULL DEFAULT now(),                                -- not to be claimed before; while leased, the end of the lease
    ttl_seconds      integer,                                                           -- of an extension
    correlation_id   text NOT NULL,                                                     -- req_ of the request that caused it
    attempt          integer NOT NULL DEFAULT 0,                                        -- how often it was leased
    agent_id         uuid REFERENCES agents,                                            -- who leased it last
    lease_token      text,                                                              -- fences results that come too late
    lease_generation bigint,                                                            -- generation that the lease carries
    result_digest    bytea,                                                             -- SHA-256 of the last result taken, so that a repeat is known
    created_at       timestamptz NOT NULL DEFAULT now(),                                -- since when
    finished_at      timestamptz,                                                       -- when it was done or given up
    CONSTRAINT lease_is_whole CHECK ((lease_token IS NULL) = (lease_generation IS NULL)
                                 AND (lease_token IS NULL) = (agent_id IS NULL)),
    CONSTRAINT leased_has_token CHECK (state <> 'leased' OR lease_token IS NOT NULL),
    CONSTRAINT over_has_time CHECK ((state IN ('done', 'dead')) = (finished_at IS NOT NULL)),
    CONSTRAINT extension_has_ttl CHECK ((kind = 'extend') = (ttl_seconds IS NOT NULL)),
    CONSTRAINT beginnings_have_a_lane CHECK ((kind = 'create') = (lane = 1))
);
COMMENT ON TABLE jobs IS 'What agents are asked to do';
-- One live job of a kind for a session.
CREATE UNIQUE INDEX jobs_live ON jobs (session_id, kind) WHERE state IN ('queued', 'leased');
-- What a claim walks: without it a claim reads the whole history.
CREATE INDEX jobs_due ON jobs (target_id, lane, run_at) WHERE state IN ('queued', 'leased');
-- What housekeeping removes.
CREATE INDEX jobs_over ON jobs (finished_at) WHERE state IN ('done', 'dead');
