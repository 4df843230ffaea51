-- 15_common.sql: small functions that the helpers share. For gk_owner alone: nobody else may call them.
--
-- What a mint or an end calls is plpgsql, which plans a query once per connection; a function in SQL with a pinned
-- search_path is parsed and planned at each call, which was two thirds of a mint's cost. And no regular expression here
-- counts ({26}): Postgres unrolls those and works them out anew at each use, which takes twenty times as long as a length.

CREATE OR REPLACE FUNCTION gk.version() RETURNS text
LANGUAGE sql IMMUTABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$ SELECT 'pg-1.0.0'::text $$;

CREATE OR REPLACE FUNCTION gk.setting_of(p_name text) RETURNS int
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$ BEGIN RETURN (SELECT s.value FROM gk.setting s WHERE s.name = p_name); END $$;

-- The role of a session. The way back is as plain: the role's name alone names the session.
CREATE OR REPLACE FUNCTION gk.role_of(p_session text) RETURNS name
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF p_session IS NULL OR length(p_session) <> 31 OR p_session !~ '^sess_[0-9A-HJKMNP-TV-Z]+$' THEN
    RAISE EXCEPTION 'not a session id'
      USING ERRCODE = '22023', HINT = 'A session id is sess_ and 26 characters of Crockford base32 in upper case.';
  END IF;
  RETURN ('gk_' || lower(substr(p_session, 6)))::name;
END
$$;

CREATE OR REPLACE FUNCTION gk.session_of(p_role name) RETURNS text
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  RETURN CASE WHEN length(p_role::text) = 29 AND p_role::text ~ '^gk_[0-9a-hjkmnp-tv-z]+$'
    THEN 'sess_' || upper(substr(p_role::text, 4)) END;
END
$$;

-- The comment that every minted role carries. A role without it was made by somebody else.
CREATE OR REPLACE FUNCTION gk.marker(p_session text, p_database name) RETURNS text
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$ BEGIN RETURN 'gatekeeper ' || p_session || ' database ' || p_database::text; END $$;

-- Is this role one that the helpers of this database minted? (p_any: of any database of this server)
CREATE OR REPLACE FUNCTION gk.is_marked(p_oid oid, p_any boolean DEFAULT false) RETURNS boolean
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RETURN EXISTS (
    SELECT FROM pg_catalog.pg_roles r JOIN pg_catalog.pg_database d ON p_any OR d.datname = current_database()
     WHERE r.oid = p_oid
       AND shobj_description(r.oid, 'pg_authid') = gk.marker(gk.session_of(r.rolname), d.datname));
END
$$;

-- The clock that never goes back. tick() moves it; who finds it locked leaves it to the other.
CREATE OR REPLACE FUNCTION gk.steady_clock() RETURNS timestamptz
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$ BEGIN RETURN (SELECT greatest(c.max_seen, clock_timestamp() + c.ahead) FROM gk.clock_mark c); END $$;

CREATE OR REPLACE FUNCTION gk.tick() RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  c     gk.clock_mark;
  v_now timestamptz;
BEGIN
  IF pg_is_in_recovery() THEN RETURN; END IF;
  SELECT * INTO c FROM gk.clock_mark m FOR UPDATE SKIP LOCKED;
  IF NOT FOUND THEN RETURN; END IF;
  v_now := clock_timestamp();
  UPDATE gk.clock_mark SET
    ahead = greatest(c.ahead, c.max_seen - v_now),
    max_seen = greatest(c.max_seen, v_now + c.ahead);
END
$$;

-- The target's clock, by which p_not_after and every time in an answer is to be read.
CREATE OR REPLACE FUNCTION gk.clock() RETURNS timestamptz
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM gk.tick();
  RETURN clock_timestamp();
END
$$;

-- Backends of a role, by its oid: the name of a dropped role is NULL there. Never the snapshot of an earlier look.
CREATE OR REPLACE FUNCTION gk.backends(p_oid oid) RETURNS SETOF int
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM pg_stat_clear_snapshot();
  RETURN QUERY SELECT a.pid FROM pg_catalog.pg_stat_activity a WHERE a.usesysid = p_oid AND a.pid <> pg_backend_pid();
END
$$;

-- Makes gk_owner a member of a role that it made, so that it may signal its backends and hand on what it owns.
-- Goes away with the role. Only paid when needed: from 16 on each such membership makes every later grant dearer.
CREATE OR REPLACE FUNCTION gk.own(p_role name) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF pg_is_in_recovery() OR pg_has_role('gk_owner', p_role, 'USAGE') THEN RETURN; END IF;
  IF current_setting('server_version_num')::int >= 160000 THEN
    PERFORM gk.alter_made(p_role, format('GRANT %I TO gk_owner WITH INHERIT TRUE, SET FALSE', p_role));
  ELSE
    EXECUTE format('GRANT %I TO gk_owner', p_role);
  END IF;
END
$$;

-- Ends every backend of a role and says how many there were.
CREATE OR REPLACE FUNCTION gk.signal(p_oid oid) RETURNS int
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET client_min_messages = error AS $$
DECLARE
  v_role name := (SELECT r.rolname FROM pg_catalog.pg_roles r WHERE r.oid = p_oid);
  v_pid  int;
  n      int := 0;
BEGIN
  FOR v_pid IN SELECT b FROM gk.backends(p_oid) b LOOP
    IF n = 0 AND v_role IS NOT NULL AND NOT pg_has_role('gk_owner', 'pg_signal_backend', 'USAGE') THEN
      PERFORM gk.own(v_role);
    END IF;
    n := n + 1;
    BEGIN
      PERFORM pg_terminate_backend(v_pid);
    EXCEPTION WHEN insufficient_privilege THEN
      NULL;  -- a session whose role is gone already, and no pg_signal_backend: doctor() tells the DBA
    END;
  END LOOP;
  RETURN n;
END
$$;
