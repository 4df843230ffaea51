-- The same rules, in one check a table. A check is parsed anew by each statement that writes to its table, and nineteen of
-- them cost three times what the write did. The rule that a row breaks is named.

-- As with any check, a rule that cannot be told for want of a value is kept. The functions call nothing but what Postgres
-- brings along: a restore of a dump checks the rows with an empty search_path.
CREATE FUNCTION session_is_whole(s sessions) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    v_broken name := CASE
        WHEN NOT s.reason IS NULL AND NOT char_length(s.reason) BETWEEN 1 AND 1000 THEN 'reason'
        WHEN NOT s.ticket IS NULL AND NOT char_length(s.ticket) BETWEEN 1 AND 64 THEN 'ticket'
        WHEN NOT s.ttl_seconds BETWEEN 5 AND 86400 THEN 'ttl_seconds'
        WHEN NOT s.max_connections BETWEEN 1 AND 65535 THEN 'max_connections'
        WHEN NOT octet_length(s.recipient_key) = 32 THEN 'recipient_key'
        WHEN NOT s.key_kind IN ('own', 'token') THEN 'key_kind'
        WHEN NOT s.desired IN ('present', 'absent') THEN 'desired'
        WHEN NOT s.generation >= 1 THEN 'generation'
        WHEN NOT s.observed IN ('unknown', 'armed', 'disarmed', 'absent') THEN 'observed'
        WHEN NOT s.end_reason IN ('revoked', 'expired', 'failed', 'denied', 'cancelled') THEN 'end_reason'
        WHEN (s.desired = 'absent') <> (s.end_reason IS NOT NULL) OR (s.desired = 'absent') <> (s.ended_by IS NOT NULL)
          OR (s.desired = 'absent') <> (s.end_wanted_at IS NOT NULL) THEN 'end_is_whole'
        WHEN s.cut_at IS NOT NULL AND s.desired <> 'absent' THEN 'proof_follows_intent'
        WHEN s.ended_at IS NOT NULL AND s.cut_at IS NULL THEN 'gone_follows_cut'
        WHEN s.ended_at IS NOT NULL AND (s.observed <> 'absent' OR s.blocked IS NOT NULL) THEN 'gone_is_absent'
        WHEN s.blocked IS NOT NULL AND s.cut_at IS NULL THEN 'blocked_follows_cut'
        WHEN (s.ready_at IS NULL) <> (s.expires_at IS NULL) THEN 'ready_is_whole'
        WHEN s.desired <> 'absent' AND (s.observed = 'armed') <> (s.sealed_credential IS NOT NULL) THEN 'ready_has_credential'
        WHEN s.desired <> 'absent' AND s.observed = 'armed' AND s.ready_at IS NULL THEN 'wanted_armed_is_ready'
        WHEN s.desired <> 'present' AND s.sealed_credential IS NOT NULL THEN 'credential_is_erased'
    END;
BEGIN
    IF v_broken IS NOT NULL THEN
        RAISE EXCEPTION 'a row of sessions breaks the rule %', v_broken
            USING ERRCODE = 'check_violation', TABLE = 'sessions', CONSTRAINT = v_broken;
    END IF;
    RETURN true;
END $$;

CREATE FUNCTION job_is_whole(j jobs) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    v_broken name := CASE
        WHEN NOT j.kind IN ('create', 'revoke', 'extend') THEN 'kind'
        WHEN NOT j.lane IN (0, 1, 2, 3) THEN 'lane'
        WHEN NOT j.state IN ('queued', 'leased', 'done', 'dead') THEN 'state'
        WHEN (j.lease_token IS NULL) <> (j.lease_generation IS NULL)
          OR (j.lease_token IS NULL) <> (j.agent_id IS NULL) THEN 'lease_is_whole'
        WHEN j.state = 'leased' AND j.lease_token IS NULL THEN 'leased_has_token'
        WHEN (j.state IN ('done', 'dead')) <> (j.finished_at IS NOT NULL) THEN 'over_has_time'
        WHEN (j.kind = 'extend') <> (j.ttl_seconds IS NOT NULL) THEN 'extension_has_ttl'
        WHEN (j.kind = 'create') <> (j.lane = 1) THEN 'beginnings_have_a_lane'
    END;
BEGIN
    IF v_broken IS NOT NULL THEN
        RAISE EXCEPTION 'a row of jobs breaks the rule %', v_broken
            USING ERRCODE = 'check_violation', TABLE = 'jobs', CONSTRAINT = v_broken;
    END IF;
    RETURN true;
END $$;

DO $$
DECLARE
    r record;
BEGIN
    FOR r IN SELECT conrelid::regclass AS at, conname FROM pg_constraint
              WHERE conrelid IN ('sessions'::regclass, 'jobs'::regclass) AND contype = 'c'
    LOOP
        EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', r.at, r.conname);
    END LOOP;
END $$;
ALTER TABLE sessions ADD CONSTRAINT session_is_whole CHECK (session_is_whole(sessions));
ALTER TABLE jobs ADD CONSTRAINT job_is_whole CHECK (job_is_whole(jobs));
