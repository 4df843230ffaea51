-- Where sessions can be made, and who makes them there.

CREATE TABLE agents (
    id           uuid PRIMARY KEY,                         -- agt_
    tenant_id    uuid NOT NULL REFERENCES tenants,         -- whose
    actor_id     uuid NOT NULL UNIQUE REFERENCES actors,   -- its name and its tokens hang on this actor
    version      text,                                     -- as it last reported
    last_seen_at timestamptz,                              -- last heartbeat or claim
    created_at   timestamptz NOT NULL DEFAULT now()        -- when it was enrolled
);
COMMENT ON TABLE agents IS 'Agents beside targets';

CREATE TABLE targets (
    id              uuid PRIMARY KEY,                                                  -- tgt_
    tenant_id       uuid NOT NULL REFERENCES tenants,                                  -- whose
    name            text NOT NULL CHECK (name ~ '^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$'),   -- as users say it
    kind            text NOT NULL DEFAULT 'postgres' CHECK (kind = 'postgres'),        -- what is spoken there
    host            text,                                                              -- address for clients, as reported
    port            integer CHECK (port BETWEEN 1 AND 65535),                          -- port for clients, as reported
    database        text,                                                              -- database for clients, as reported
    reachable       boolean NOT NULL DEFAULT false,                                    -- whether the last look worked
    fault           text,                                                              -- why not
    server_version  text,                                                              -- as reported
    helpers_version text,                                                              -- as reported
    clock_skew_ms   bigint,                                                            -- its clock minus the ledger's
    health_at       timestamptz,                                                       -- last heartbeat that named it
    observed_at     timestamptz,                                                       -- last complete observation
    observed_roles  bigint,                                                            -- roles of ours at that observation
    created_at      timestamptz NOT NULL DEFAULT now(),                                -- since when
    UNIQUE (tenant_id, name)
);
COMMENT ON TABLE targets IS 'Databases that sessions can be asked for, as agents last saw them';

CREATE TABLE agent_targets (
    agent_id  uuid NOT NULL REFERENCES agents,    -- this agent
    target_id uuid NOT NULL REFERENCES targets,   -- may serve this target
    tenant_id uuid NOT NULL REFERENCES tenants,   -- whose
    PRIMARY KEY (agent_id, target_id)
);
COMMENT ON TABLE agent_targets IS 'Which agent may serve which target';
CREATE INDEX agents_of_target ON agent_targets (target_id);

CREATE TABLE packs (
    tenant_id uuid NOT NULL REFERENCES tenants,                                   -- whose
    name      text NOT NULL CHECK (name ~ '^[a-z][a-z0-9_]{0,30}$'),              -- what users give as --role
    version   text NOT NULL,                                                      -- e.g. pg-1.0.0
    digest    text NOT NULL CHECK (digest ~ '^(sha256:)?[0-9a-f]{64}$'),          -- SHA-256 of its SQL
    first_seen_at timestamptz NOT NULL DEFAULT now(),                             -- first report of it
    PRIMARY KEY (tenant_id, name, version, digest)
);
COMMENT ON TABLE packs IS 'Every role pack that was ever reported; a version with two digests shows as two rows';

CREATE TABLE target_packs (
    target_id   uuid NOT NULL REFERENCES targets,     -- registered here
    tenant_id   uuid NOT NULL REFERENCES tenants,     -- whose
    name        text NOT NULL,                        -- the pack
    version     text NOT NULL,                        -- the version registered there
    digest      text NOT NULL,                        -- the digest registered there
    fault       text,                                 -- why it cannot be used; NULL: it can
    reported_at timestamptz NOT NULL DEFAULT now(),   -- last report that named it
    PRIMARY KEY (target_id, name),
    FOREIGN KEY (tenant_id, name, version, digest) REFERENCES packs
);
COMMENT ON TABLE target_packs IS 'Role packs as they are registered on each target now';
