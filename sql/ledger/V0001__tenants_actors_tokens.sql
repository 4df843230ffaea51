-- Who there is: tenants, actors and the tokens that stand for them.
-- Every table of the ledger carries tenant_id, so that a second tenant is a row and not a migration.
-- Every time is the ledger's own clock; ids are UUID version 7 and sort by the time they were made.

CREATE TABLE tenants (
    id         uuid PRIMARY KEY,                    -- fixed for `default`, so that a program can name it without a look
    name       text NOT NULL UNIQUE,                -- what people call it
    created_at timestamptz NOT NULL DEFAULT now()   -- since when
);
COMMENT ON TABLE tenants IS 'Who the ledger is kept for; one row, `default`, until there are more';

INSERT INTO tenants (id, name) VALUES ('00000000-0000-7000-8000-000000000001', 'default');

CREATE TABLE actors (
    id          uuid PRIMARY KEY,                                                  -- act_
    tenant_id   uuid NOT NULL REFERENCES tenants,                                  -- whose
    kind        text NOT NULL CHECK (kind IN ('human', 'service', 'agent')),       -- what it is
    name        text NOT NULL CHECK (name ~ '^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$'),   -- as the audit log and policy say it
    email       text,                                                              -- where one is known
    groups      text[] NOT NULL DEFAULT '{}',                                      -- groups that policy speaks of
    created_at  timestamptz NOT NULL DEFAULT now(),                                -- since when
    disabled_at timestamptz                                                        -- from then on its tokens do not work
);
COMMENT ON TABLE actors IS 'People, services and agents';
-- An agent and a person may share a name: the log writes the one as agent:NAME.
CREATE UNIQUE INDEX actors_by_name ON actors (tenant_id, (kind = 'agent'), name);

CREATE TABLE tokens (
    id           uuid PRIMARY KEY,                                      -- tok_
    tenant_id    uuid NOT NULL REFERENCES tenants,                      -- whose
    actor_id     uuid NOT NULL REFERENCES actors,                       -- who it stands for
    hash         bytea NOT NULL UNIQUE CHECK (octet_length(hash) = 32), -- SHA-256 of the token; the token itself is nowhere
    scopes       text[] NOT NULL                                        -- what it may be used for
                 CHECK (cardinality(scopes) > 0 AND scopes <@ ARRAY['requester', 'admin', 'auditor', 'agent']),
    created_at   timestamptz NOT NULL DEFAULT now(),                    -- since when
    expires_at   timestamptz NOT NULL,                                  -- from then on it does not work
    last_used_at timestamptz,                                           -- to the minute
    revoked_at   timestamptz,                                           -- from then on it does not work
    CONSTRAINT token_lives CHECK (expires_at > created_at)
);
COMMENT ON TABLE tokens IS 'Bearer tokens, by their hashes';
CREATE INDEX tokens_of_actor ON tokens (actor_id);
