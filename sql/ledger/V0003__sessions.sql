-- Sessions: what is wanted held against what is seen. The status word is computed, never stored.

CREATE TABLE sessions (
    id                  uuid PRIMARY KEY,                       -- sess_; the role's name follows from it
    tenant_id           uuid NOT NULL REFERENCES tenants,       -- whose
    target_id           uuid NOT NULL REFERENCES targets,       -- where
    actor_id            uuid NOT NULL REFERENCES actors,        -- who asked
    token_id            uuid NOT NULL REFERENCES tokens,        -- with which token: it alone opens a credential of key_kind token
    pack                text NOT NULL,                          -- role pack
    pack_version        text NOT NULL,                          -- version it is pinned to
    pack_digest         text NOT NULL,                          -- digest it is pinned to
    reason              text CHECK (char_length(reason) BETWEEN 1 AND 1000),     -- why, in the requester's words
    ticket              text CHECK (char_length(ticket) BETWEEN 1 AND 64),       -- ticket the work belongs to
    ttl_seconds         integer NOT NULL CHECK (ttl_seconds BETWEEN 5 AND 86400),-- how long it was granted for
    max_connections     integer CHECK (max_connections BETWEEN 1 AND 65535),     -- at once; NULL: what the pack says
    recipient_key       bytea NOT NULL CHECK (octet_length(recipient_key) = 32), -- public key the credential is sealed to
    recipient_fingerprint text NOT NULL,                        -- of that key, as log and views show it
    key_kind            text NOT NULL CHECK (key_kind IN ('own', 'token')),      -- sent by the requester, or derived from the token
    correlation_id      text NOT NULL,                          -- req_ of the request that made it
    created_at          timestamptz NOT NULL DEFAULT now(),     -- when it was asked for
    provision_deadline  timestamptz NOT NULL,                   -- not ready by then: it failed

    desired             text NOT NULL DEFAULT 'present' CHECK (desired IN ('present', 'absent')), -- what is wanted
    generation          bigint NOT NULL DEFAULT 1 CHECK (generation >= 1),       -- +1 on each change of intent and each lease to make it
    observed            text NOT NULL DEFAULT 'unknown'
                        CHECK (observed IN ('unknown', 'armed', 'disarmed', 'absent')),           -- what was last seen
    observed_generation bigint NOT NULL DEFAULT 0,              -- generation in the target's books at that look
    observed_at         timestamptz,                            -- when that changed last
    backends            bigint,                                 -- connections at the last look that changed something

    ready_at            timestamptz,                            -- when the credential first worked
    expires_at          timestamptz,                            -- when it stops, as the target said and never later than granted
    sealed_credential   text,                                   -- ciphertext; erased as soon as the session is wanted absent
    credential_read_at  timestamptz,                            -- when the requester was first given it

    end_reason          text CHECK (end_reason IN ('revoked', 'expired', 'failed', 'denied', 'cancelled')), -- why it ends
    ended_by            text,                                   -- an actor's name, agent:NAME or system
    end_wanted_at       timestamptz,                            -- since when it is wanted absent
    cut_at              timestamptz,                            -- no login, no connection, seen twice
    ended_at            timestamptz,                            -- the role was seen to be gone
    blocked             text,                                   -- what keeps the role from being dropped, and the mend
    error               jsonb,                                  -- why it failed: {code, message, retryable}
    resurrected_generation bigint,                              -- last generation for which `seen armed though absent` was logged

    CONSTRAINT end_is_whole    CHECK ((desired = 'absent') = (end_reason IS NOT NULL)
                                  AND (desired = 'absent') = (ended_by IS NOT NULL)
                                  AND (desired = 'absent') = (end_wanted_at IS NOT NULL)),
    CONSTRAINT proof_follows_intent CHECK (cut_at IS NULL OR desired = 'absent'),
    CONSTRAINT gone_follows_cut     CHECK (ended_at IS NULL OR cut_at IS NOT NULL),
    CONSTRAINT gone_is_absent       CHECK (ended_at IS NULL OR (observed = 'absent' AND blocked IS NULL)),
    CONSTRAINT blocked_follows_cut  CHECK (blocked IS NULL OR cut_at IS NOT NULL),
    CONSTRAINT ready_is_whole       CHECK ((ready_at IS NULL) = (expires_at IS NULL)),
    CONSTRAINT ready_has_credential CHECK (desired = 'absent' OR (observed = 'armed') = (sealed_credential IS NOT NULL)),
    CONSTRAINT wanted_armed_is_ready CHECK (desired = 'absent' OR observed <> 'armed' OR ready_at IS NOT NULL),
    CONSTRAINT credential_is_erased CHECK (desired = 'present' OR sealed_credential IS NULL)
);
COMMENT ON TABLE sessions IS 'Sessions with their intent, what was seen of them, and the proof of their end';
CREATE INDEX sessions_by_actor ON sessions (actor_id, id DESC);
CREATE INDEX sessions_by_target ON sessions (target_id, id DESC);
-- The three small sets that the scan walks: what is about to expire, what is being made, what is being ended.
CREATE INDEX sessions_ready ON sessions (expires_at) WHERE desired = 'present' AND expires_at IS NOT NULL;
CREATE INDEX sessions_in_the_making ON sessions (provision_deadline) WHERE desired = 'present' AND ready_at IS NULL;
CREATE INDEX sessions_ending ON sessions (id) WHERE desired = 'absent' AND ended_at IS NULL;
-- Everything that is not over, for lists, for the count on a target, and for the look at what is missing there.
CREATE INDEX sessions_live ON sessions (target_id, id) WHERE ended_at IS NULL;

-- The status word, as gk_shared::session computes it; a test holds the two against each other.
CREATE FUNCTION session_status(s sessions) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
    WHEN s.desired = 'present' AND s.observed = 'armed' THEN 'ready'
    WHEN s.desired = 'present' THEN 'provisioning'
    WHEN s.ended_at IS NOT NULL THEN s.end_reason
    WHEN s.cut_at IS NOT NULL AND s.blocked IS NOT NULL THEN 'quarantined'
    ELSE 'revoking'
END;

CREATE TABLE idempotency_keys (
    tenant_id  uuid NOT NULL REFERENCES tenants,                              -- whose
    actor_id   uuid NOT NULL REFERENCES actors,                               -- who sent it
    key        text NOT NULL CHECK (char_length(key) BETWEEN 8 AND 128),      -- the header
    body_hash  bytea NOT NULL CHECK (octet_length(body_hash) = 32),           -- SHA-256 of the parsed request
    session_id uuid NOT NULL REFERENCES sessions,                             -- what it made
    expires_at timestamptz NOT NULL,                                          -- from then on the key may be used anew
    PRIMARY KEY (actor_id, key)
);
COMMENT ON TABLE idempotency_keys IS 'Requests that were carried out, so that a repeat gets the same answer';
CREATE INDEX idempotency_keys_by_end ON idempotency_keys (expires_at);
