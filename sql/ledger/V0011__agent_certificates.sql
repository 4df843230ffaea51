-- Agents may show a certificate instead of a token, and be drained. Token and certificate are found by a SHA-256: of a token's text, of a certificate's bytes.

ALTER TABLE tokens
    ADD COLUMN kind text NOT NULL DEFAULT 'bearer'                                -- bearer: shown at every call; enrolment: good
        CHECK (kind IN ('bearer', 'enrolment', 'certificate')),                   --   once, for a certificate; certificate: shown in TLS
    ADD CONSTRAINT only_agents_have_certificates CHECK (kind = 'bearer' OR scopes = ARRAY['agent']);

-- An agent that is to be stopped is given no new sessions, and goes on ending those there are.
ALTER TABLE agents ADD COLUMN draining_at timestamptz;   -- since when it is given none; NULL: it is given them
