-- 30_mint.sql: gk.mint, which makes a session's role or gives it a new secret.
--
-- What always holds: one transaction makes fence row, role, membership and expiry, or nothing. A tombstone or a
-- higher gen stops a late worker. A repeated request never lengthens a session. No plaintext ever comes here, and
-- no error carries the text of a statement: that would put the verifier into the server's log.

-- The fewest rounds that a verifier may have here, so that an agent can tell before somebody waits for a session.
CREATE OR REPLACE FUNCTION gk.min_iterations() RETURNS int
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$ BEGIN RETURN greatest(gk.setting_of('min_iterations'), 1); END $$;

-- Anything that is not exactly a verifier would be taken as a plaintext password, so the form is strict. The server
-- works through all iterations once per CREATE or ALTER ROLE, so their number is bounded.
CREATE OR REPLACE FUNCTION gk.check_verifier(p_verifier text) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_least  int := gk.min_iterations();
  v_rounds text := split_part(split_part(p_verifier, '$', 2), ':', 1);
  v_salt   text := split_part(split_part(p_verifier, '$', 2), ':', 2);
  v_keys   text := split_part(p_verifier, '$', 3);
BEGIN
  IF p_verifier IS NULL
     OR p_verifier !~ '^SCRAM-SHA-256[$][1-9][0-9]*:[A-Za-z0-9+/]+=*[$][A-Za-z0-9+/]+=:[A-Za-z0-9+/]+=$'
     OR length(v_rounds) > 5 OR length(rtrim(v_salt, '=')) NOT BETWEEN 22 AND 86
     OR length(v_salt) - length(rtrim(v_salt, '=')) > 2 OR length(v_keys) <> 89 OR position(':' IN v_keys) <> 45 THEN
    RAISE EXCEPTION 'a SCRAM-SHA-256 verifier is required'
      USING ERRCODE = '22023', HINT = 'Compute it beside the password; the password itself never goes to a server.';
  END IF;
  IF v_rounds::int NOT BETWEEN v_least AND 20000 THEN
    RAISE EXCEPTION 'the verifier''s iteration count is not between % and 20000', v_least
      USING ERRCODE = '22023', HINT = 'The lower bound is min_iterations in gk.setting on this target.';
  END IF;
END
$$;

-- The pack to grant, if it may be granted at this moment under exactly this digest.
CREATE OR REPLACE FUNCTION gk.usable_pack(p_pack text, p_version text, p_digest text) RETURNS gk.pack
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  pk      gk.pack;
  v_fault text;
BEGIN
  SELECT * INTO pk FROM gk.pack k WHERE k.name = p_pack AND k.version = p_version AND k.enabled;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'the pack is not registered or not enabled on this target'
      USING ERRCODE = '42501', HINT = 'gk.packs() lists what is.';
  END IF;
  IF pk.digest IS DISTINCT FROM p_digest THEN
    RAISE EXCEPTION 'pack % % is registered here with another digest', pk.name, pk.version
      USING ERRCODE = '42501', HINT = 'The control plane and this target hold different texts of the pack.';
  END IF;
  v_fault := gk.pack_fault(pk.role_oid, pk.role_name);
  IF v_fault IS NOT NULL THEN
    RAISE EXCEPTION 'pack % % is refused: %', pk.name, pk.version, v_fault USING ERRCODE = '42501';
  END IF;
  RETURN pk;
END
$$;

CREATE OR REPLACE FUNCTION gk.check_lease(p_not_after timestamptz) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF p_not_after IS NULL THEN
    RAISE EXCEPTION 'p_not_after is required' USING ERRCODE = '22023';
  ELSIF clock_timestamp() >= p_not_after THEN
    RAISE EXCEPTION 'the caller''s lease is over'
      USING ERRCODE = 'GK002', HINT = 'Another worker may hold the job now: claim it again.';
  END IF;
END
$$;

-- Months, days and zones have no fixed length: a session lasts seconds.
CREATE OR REPLACE FUNCTION gk.ttl_of(p_ttl interval, p_max interval) RETURNS interval
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_ttl interval;
BEGIN
  IF p_ttl > interval '0' AND p_ttl <= p_max THEN
    v_ttl := make_interval(secs => extract(epoch FROM p_ttl)::double precision);
  END IF;
  IF v_ttl IS NULL OR v_ttl <= interval '0' OR v_ttl > p_max THEN
    RAISE EXCEPTION 'ttl is not between 0 and % seconds', extract(epoch FROM p_max)::int
      USING ERRCODE = '22023', HINT = 'The upper bound is the pack''s max_ttl on this target.';
  END IF;
  RETURN v_ttl;
END
$$;

-- Text of an instant that no DateStyle or TimeZone setting can bend.
CREATE OR REPLACE FUNCTION gk.stamp(p_at timestamptz) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$ BEGIN RETURN to_char(p_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US') || '+00'; END $$;

-- The role (made now, or a spare that has this secret), membership, comment. Errors are raised anew so that the statement's text stays here.
CREATE OR REPLACE FUNCTION gk.create_role(f gk.fence, p_verifier text) RETURNS oid
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_limits text;
  v_mark   text;
BEGIN
  v_limits := format('CONNECTION LIMIT %s VALID UNTIL %L', f.conn_limit, gk.stamp(f.valid_until));
  v_mark := format('; COMMENT ON ROLE %I IS %L', f.role_name, gk.marker(f.session, current_database()));
  IF NOT gk.take_spare(f, v_mark || format('; ALTER ROLE %I LOGIN ', f.role_name) || v_limits) THEN
    PERFORM gk.make(get_byte(f.verifier_sha, 0), format(
      'CREATE ROLE %I LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS INHERIT PASSWORD %L ',
      f.role_name, p_verifier) || v_limits || v_mark);
  END IF;
  IF current_setting('server_version_num')::int >= 160000 THEN
    EXECUTE format('GRANT %I TO %I WITH ADMIN FALSE, INHERIT TRUE, SET FALSE', f.pack_role, f.role_name);
  ELSE
    EXECUTE format('GRANT %I TO %I', f.pack_role, f.role_name);
  END IF;
  RETURN to_regrole(f.role_name::text)::oid;
EXCEPTION
  WHEN query_canceled THEN
    RAISE EXCEPTION 'creating role % was cancelled', f.role_name USING ERRCODE = '57014';
  WHEN duplicate_object THEN
    RAISE EXCEPTION 'a role named % exists already, and Gatekeeper did not make it', f.role_name
      USING ERRCODE = 'GK003', HINT = 'It is neither adopted nor dropped. Rename or drop it by hand.';
  WHEN OTHERS THEN
    RAISE EXCEPTION 'could not create role %', f.role_name
      USING ERRCODE = CASE SQLSTATE WHEN 'XX000' THEN '40001' ELSE SQLSTATE END;
END
$$;

CREATE OR REPLACE FUNCTION gk.set_verifier(p_role name, p_verifier text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM gk.alter_made(p_role, format('ALTER ROLE %I PASSWORD %L', p_role, p_verifier));
EXCEPTION
  WHEN query_canceled THEN
    RAISE EXCEPTION 'giving role % a new secret was cancelled', p_role USING ERRCODE = '57014';
  WHEN OTHERS THEN  -- XX000 is "tuple concurrently updated": worth another try
    RAISE EXCEPTION 'could not give role % a new secret', p_role
      USING ERRCODE = CASE SQLSTATE WHEN 'XX000' THEN '40001' ELSE SQLSTATE END;
END
$$;

-- Refuses whoever comes too late for a session: ended, expired, of another generation's time, or without its role.
CREATE OR REPLACE FUNCTION gk.check_alive(f gk.fence, p_gen bigint) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF f.state <> 'minted' THEN
    RAISE EXCEPTION 'session % has ended; it is never minted again', f.session
      USING ERRCODE = 'GK001', HINT = 'Request a new session.';
  ELSIF p_gen < f.gen THEN
    RAISE EXCEPTION 'generation % of session % is stale; the target has seen %', p_gen, f.session, f.gen
      USING ERRCODE = 'GK001', HINT = 'Another worker went on with it: drop this job.';
  ELSIF f.ends_at <= gk.steady_clock() OR f.valid_until <= clock_timestamp() THEN
    RAISE EXCEPTION 'session % has expired', f.session USING ERRCODE = 'GK001', HINT = 'Request a new session.';
  ELSIF NOT EXISTS (SELECT FROM pg_catalog.pg_roles r WHERE r.oid = f.role_oid AND r.rolname = f.role_name) THEN
    RAISE EXCEPTION 'role % was dropped, renamed or replaced outside Gatekeeper', f.role_name
      USING ERRCODE = 'GK004', HINT = 'End the session and request a new one.';
  END IF;
END
$$;

-- A repeated request asks for the same as the first.
CREATE OR REPLACE FUNCTION gk.check_same(f gk.fence, w gk.fence) RETURNS void
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF (f.pack, f.pack_version, f.pack_digest, f.subject, f.conn_limit)
     IS DISTINCT FROM (w.pack, w.pack_version, w.pack_digest, w.subject, w.conn_limit) THEN
    RAISE EXCEPTION 'session % was minted with other parameters', f.session
      USING ERRCODE = 'GK005', HINT = 'Pack, version, digest, subject and connection limit never change in a session.';
  END IF;
END
$$;

-- A new secret for a session that is there already. The stored expiry is the answer, whatever ttl was asked.
CREATE OR REPLACE FUNCTION gk.rearm(w gk.fence, p_verifier text, p_not_after timestamptz)
RETURNS TABLE (role_name name, valid_until timestamptz, outcome text)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  f gk.fence;
BEGIN
  SELECT * INTO STRICT f FROM gk.fence x WHERE x.session = w.session FOR UPDATE;
  PERFORM gk.check_alive(f, w.gen);
  PERFORM gk.check_same(f, w);
  PERFORM gk.check_lease(p_not_after);
  PERFORM gk.set_verifier(f.role_name, p_verifier);
  PERFORM gk.drop_spare(x) FROM gk.spare x WHERE x.verifier_sha = w.verifier_sha;  -- its secret is in use now
  UPDATE gk.fence x SET gen = w.gen, verifier_sha = w.verifier_sha WHERE x.session = f.session;
  PERFORM gk.check_lease(p_not_after);
  RETURN QUERY SELECT f.role_name, f.valid_until,
    CASE WHEN w.gen = f.created_gen AND w.verifier_sha = f.verifier_sha THEN 'created' ELSE 'rearmed' END;
END
$$;

-- Has the pack more live sessions than it may, with the one that was just noted? Counting costs with their number, so it
-- is done only when as many could be live as there were at the last count, and every mint since.
CREATE OR REPLACE FUNCTION gk.is_over(pk gk.pack) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_mints bigint := nextval('gk.mints');
  v_live  bigint;
  m       gk.live_mark;
BEGIN
  SELECT * INTO m FROM gk.live_mark x WHERE x.pack = pk.name AND x.pack_version = pk.version;
  IF FOUND AND v_mints > m.mints AND m.live + v_mints - m.mints <= pk.max_live THEN RETURN false; END IF;
  v_live := (SELECT count(*) FROM gk.fence f
              WHERE f.pack = pk.name AND f.pack_version = pk.version AND f.state <> 'closed');
  -- who finds the mark locked leaves it to the other
  IF m.pack IS NULL THEN
    INSERT INTO gk.live_mark VALUES (pk.name, pk.version, v_live, v_mints) ON CONFLICT DO NOTHING;
  ELSE
    UPDATE gk.live_mark SET live = v_live, mints = v_mints WHERE (pack, pack_version) IN (
      SELECT x.pack, x.pack_version FROM gk.live_mark x
       WHERE x.pack = pk.name AND x.pack_version = pk.version FOR UPDATE SKIP LOCKED);
  END IF;
  RETURN v_live > pk.max_live;
END
$$;

CREATE OR REPLACE FUNCTION gk.mint(
  p_session text, p_gen bigint, p_pack text, p_pack_version text, p_pack_digest text, p_subject text,
  p_verifier text, p_ttl interval, p_not_after timestamptz, p_conn_limit int)
RETURNS TABLE (role_name name, valid_until timestamptz, outcome text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '3s' AS $$
#variable_conflict use_column
DECLARE
  w     gk.fence;  -- what is wanted
  pk    gk.pack;
  v_ttl interval;
  v_new boolean;
BEGIN
  w.role_name := gk.role_of(p_session);
  PERFORM gk.check_verifier(p_verifier);
  PERFORM gk.check_lease(p_not_after);
  IF p_gen IS NULL OR p_gen < 1 THEN
    RAISE EXCEPTION 'p_gen must be 1 or more' USING ERRCODE = '22023';
  ELSIF p_subject IS NULL OR length(p_subject) NOT BETWEEN 1 AND 200 THEN
    RAISE EXCEPTION 'p_subject must have 1 to 200 characters' USING ERRCODE = '22023';
  END IF;
  pk := gk.usable_pack(p_pack, p_pack_version, p_pack_digest);
  IF p_conn_limit NOT BETWEEN 1 AND pk.conn_limit THEN
    RAISE EXCEPTION 'connection limit is not between 1 and %', pk.conn_limit
      USING ERRCODE = '22023', HINT = 'The upper bound is the pack''s conn_limit on this target; null asks for it.';
  END IF;
  v_ttl := gk.ttl_of(p_ttl, pk.max_ttl);

  w.session := p_session;  w.gen := p_gen;  w.subject := p_subject;
  w.pack := pk.name;  w.pack_version := pk.version;  w.pack_digest := pk.digest;  w.pack_role := pk.role_name;
  w.conn_limit := coalesce(p_conn_limit, pk.conn_limit);
  w.verifier_sha := sha256(convert_to(p_verifier, 'UTF8'));
  w.valid_until := clock_timestamp() + v_ttl;
  w.ends_at := gk.steady_clock() + v_ttl;

  INSERT INTO gk.fence AS f (session, gen, state, role_name, pack, pack_version, pack_digest, pack_role, subject,
                             conn_limit, verifier_sha, created_gen, valid_until, ends_at, minted_at)
  VALUES (w.session, w.gen, 'minted', w.role_name, w.pack, w.pack_version, w.pack_digest, w.pack_role, w.subject,
          w.conn_limit, w.verifier_sha, w.gen, w.valid_until, w.ends_at, clock_timestamp())
  ON CONFLICT (session) DO NOTHING;                       -- a concurrent mint or disarm of the session waits here
  v_new := FOUND;
  IF NOT v_new THEN
    RETURN QUERY SELECT * FROM gk.rearm(w, p_verifier, p_not_after);
    RETURN;
  END IF;
  IF gk.is_over(pk) THEN
    RAISE EXCEPTION 'pack % % has % live sessions on this target, its limit', pk.name, pk.version, pk.max_live
      USING ERRCODE = '53400', HINT = 'End some, or raise max_live in gk.pack.';
  END IF;
  w.role_oid := gk.create_role(w, p_verifier);
  UPDATE gk.fence f SET role_oid = w.role_oid WHERE f.session = w.session;
  PERFORM gk.check_lease(p_not_after);                    -- waiting for locks takes time too
  RETURN QUERY SELECT w.role_name, w.valid_until, 'created'::text;
END
$$;
