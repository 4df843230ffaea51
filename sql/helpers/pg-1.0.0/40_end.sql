-- 40_end.sql: disarm, kill. (reap and clean_here are in 45_drop.sql.)
--
-- The order is always disarm (committed) -> kill until nobody is left -> reap. Three calls in three transactions on
-- purpose: NOLOGIN stops nobody before it is committed. Each may be repeated at any time. What always holds: a
-- session that was disarmed once is never minted again, also if the mint had not come yet.

-- Takes away login, secret and time. False if the role's own row stays locked: its user may change his password in a
-- transaction and never end it, so those sessions are cut and it is tried again; a prepared one cannot be cut.
CREATE OR REPLACE FUNCTION gk.shut(p_oid oid, p_tries int) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET lock_timeout = '250ms' SET client_min_messages = error AS $$
DECLARE
  v_role name := (SELECT r.rolname FROM pg_catalog.pg_roles r WHERE r.oid = p_oid);
BEGIN
  FOR i IN 1..p_tries LOOP
    BEGIN
      PERFORM gk.alter_made(v_role, format('ALTER ROLE %I NOLOGIN CONNECTION LIMIT 0 PASSWORD NULL VALID UNTIL %L',
                                           v_role, '1970-01-01 00:00:00+00'));
      RETURN true;
    EXCEPTION WHEN lock_not_available OR internal_error OR deadlock_detected THEN
      PERFORM gk.signal(p_oid);
    END;
  END LOOP;
  RETURN false;
END
$$;

-- Does somebody hold the role's rights beside its login? Up to 14 a role may make others members of itself.
CREATE OR REPLACE FUNCTION gk.is_shared(p_oid oid) RETURNS boolean
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RETURN EXISTS (SELECT FROM pg_catalog.pg_auth_members m WHERE m.roleid = p_oid AND m.member <> 'gk_owner'::regrole
                   AND NOT EXISTS (SELECT FROM gk.maker k WHERE k.role_oid = m.member));
END
$$;

-- Whoever still holds the role's rights loses them at the next statement. REVOKE costs by the members of the pack from
-- 16 on, so it is paid only when there is somebody to lose them, or when the role has to stay.
CREATE OR REPLACE FUNCTION gk.strip(f gk.fence) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET client_min_messages = error AS $$
DECLARE
  v_role name := (SELECT r.rolname FROM pg_catalog.pg_roles r WHERE r.oid = f.role_oid);
BEGIN
  EXECUTE format('REVOKE %I FROM %I', f.pack_role, v_role);
EXCEPTION WHEN OTHERS THEN
  NULL;  -- a pack that is gone gives nothing; anything else is cut by kill
END
$$;

-- A standby's sessions are ended there, where nothing can be granted any more.
CREATE OR REPLACE FUNCTION gk.prepare_kill(p_oid oid) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF NOT pg_has_role('gk_owner', 'pg_signal_backend', 'USAGE')
     AND EXISTS (SELECT FROM pg_catalog.pg_stat_get_wal_senders()) THEN
    PERFORM gk.own((SELECT r.rolname FROM pg_catalog.pg_roles r WHERE r.oid = p_oid));
  END IF;
END
$$;

-- What keeps the row of a role locked when nobody is connected.
CREATE OR REPLACE FUNCTION gk.prepared_by(p_oid oid) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RETURN (
    SELECT string_agg(format('in database %I, as a superuser: ROLLBACK PREPARED %L;', d.datname, x.gid), ' ' ORDER BY x.prepared)
      FROM pg_catalog.pg_prepared_xact() x LEFT JOIN pg_catalog.pg_database d ON d.oid = x.dbid
     WHERE x.ownerid = p_oid);
END
$$;

-- Disarms a locked fence row whose role exists: the one way by which a role is taken its login.
CREATE OR REPLACE FUNCTION gk.disarm_row(f gk.fence, p_gen bigint) RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_shut boolean := gk.shut(f.role_oid, CASE f.state WHEN 'blocked' THEN 1 ELSE 6 END);
BEGIN
  IF NOT v_shut OR gk.is_shared(f.role_oid) OR EXISTS (SELECT FROM gk.backends(f.role_oid)) THEN
    PERFORM gk.strip(f);
  END IF;
  PERFORM gk.prepare_kill(f.role_oid);
  IF NOT v_shut THEN
    PERFORM gk.signal(f.role_oid);
    UPDATE gk.fence x SET state = 'blocked', gen = greatest(x.gen, p_gen), tries = x.tries + 1,
           next_try_at = clock_timestamp() + interval '2 seconds',
           detail = 'the role''s own row is locked, so it may log in (without rights) until valid_until; to mend: '
                    || coalesce(gk.prepared_by(f.role_oid), 'end the transaction that holds it; it is tried again')
     WHERE x.session = f.session;
    RETURN 'blocked';
  END IF;
  UPDATE gk.fence x SET state = 'disarmed', gen = greatest(x.gen, p_gen), tries = 0, next_try_at = NULL, detail = NULL,
         disarmed_at = clock_timestamp(), disarmed_xid = pg_current_xact_id(), quiet_since = NULL, closed_at = NULL
   WHERE x.session = f.session;
  RETURN 'disarmed';
END
$$;

-- The row of a session whose role is gone or another: closed, or refused if the name belongs to a stranger now.
CREATE OR REPLACE FUNCTION gk.disarm_missing(f gk.fence, p_gen bigint) RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF to_regrole(f.role_name::text) IS NOT NULL THEN
    RAISE EXCEPTION 'role % was replaced outside Gatekeeper and is not touched', f.role_name
      USING ERRCODE = 'GK004', HINT = 'Rename or drop the role that has this name now; the session closes then.';
  END IF;
  IF gk.signal(f.role_oid) > 0 THEN  -- the role is gone, sessions of it go on
    UPDATE gk.fence x SET state = 'disarmed', gen = greatest(x.gen, p_gen), disarmed_at = clock_timestamp(),
           disarmed_xid = pg_current_xact_id(), quiet_since = NULL, detail = 'the role was dropped outside Gatekeeper'
     WHERE x.session = f.session;
    RETURN 'disarmed';
  END IF;
  UPDATE gk.fence x SET state = 'closed', gen = greatest(x.gen, p_gen), closed_at = clock_timestamp(),
         disarmed_at = coalesce(x.disarmed_at, clock_timestamp()), detail = 'the role was dropped outside Gatekeeper'
   WHERE x.session = f.session;
  RETURN 'dropped';
END
$$;

-- Takes a role into the fence that carries our mark but has no row here, as after a restore of this database. It can
-- only be ended: the pack is unknown.
CREATE OR REPLACE FUNCTION gk.adopt(p_session text) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_role name := gk.role_of(p_session);
  v_oid  oid  := to_regrole(v_role::text);
BEGIN
  IF v_oid IS NULL OR NOT gk.is_marked(v_oid) THEN RETURN false; END IF;
  UPDATE gk.fence x SET state = 'blocked', role_oid = v_oid, closed_at = NULL, detail = 'found without a row',
         pack_role = coalesce(x.pack_role, (SELECT k.role_name FROM pg_catalog.pg_auth_members m
                                              JOIN gk.pack k ON k.role_oid = m.roleid WHERE m.member = v_oid LIMIT 1)),
         valid_until = (SELECT r.rolvaliduntil FROM pg_catalog.pg_roles r WHERE r.oid = v_oid)
   WHERE x.session = p_session AND x.state = 'closed';
  RETURN FOUND;
END
$$;

-- 'disarmed' | 'absent': nothing was minted, and never will be | 'dropped': gone already
-- | 'blocked': see gk.shut; the rights are gone, the sessions cut, and the sweep tries again.
CREATE OR REPLACE FUNCTION gk.disarm(p_session text, p_gen bigint) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '3s' AS $$
DECLARE
  v_role name := gk.role_of(p_session);
  f      gk.fence;
BEGIN
  IF p_gen IS NULL OR p_gen < 1 THEN RAISE EXCEPTION 'p_gen must be 1 or more' USING ERRCODE = '22023'; END IF;
  INSERT INTO gk.fence AS x (session, gen, state, role_name, disarmed_at, closed_at, detail)
  VALUES (p_session, p_gen, 'closed', v_role, clock_timestamp(), clock_timestamp(), 'ended before it was minted')
  ON CONFLICT (session) DO NOTHING;                       -- a mint that has not committed yet is waited for here
  SELECT * INTO STRICT f FROM gk.fence x WHERE x.session = p_session FOR UPDATE;
  IF f.state = 'closed' AND gk.adopt(p_session) THEN
    SELECT * INTO STRICT f FROM gk.fence x WHERE x.session = p_session;
  END IF;
  IF f.state = 'minted' AND p_gen < f.gen THEN
    RAISE EXCEPTION 'generation % of session % is stale; the target has seen %', p_gen, p_session, f.gen
      USING ERRCODE = 'GK001', HINT = 'Another worker went on with it: drop this job.';
  ELSIF f.state = 'closed' THEN
    UPDATE gk.fence x SET gen = greatest(x.gen, p_gen) WHERE x.session = p_session;
    RETURN CASE WHEN f.role_oid IS NULL THEN 'absent' ELSE 'dropped' END;
  ELSIF NOT EXISTS (SELECT FROM pg_catalog.pg_roles r WHERE r.oid = f.role_oid) THEN
    RETURN gk.disarm_missing(f, p_gen);
  ELSIF f.state IN ('disarmed', 'stuck')
        AND EXISTS (SELECT FROM pg_catalog.pg_roles r WHERE r.oid = f.role_oid AND NOT r.rolcanlogin) THEN
    UPDATE gk.fence x SET gen = greatest(x.gen, p_gen) WHERE x.session = p_session;
    RETURN 'disarmed';
  END IF;
  RETURN gk.disarm_row(f, p_gen);
END
$$;

-- Ends the backends that are there and says how many there were: 0 is what the caller waits for. Runs on a standby
-- too, so it takes no lock and writes nothing that it can do without.
CREATE OR REPLACE FUNCTION gk.kill(p_session text) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '2s' AS $$
DECLARE
  v_role name := gk.role_of(p_session);
  f      gk.fence;
BEGIN
  SELECT * INTO f FROM gk.fence x WHERE x.session = p_session;
  IF NOT FOUND THEN
    RAISE EXCEPTION '% is not a minted role', v_role USING ERRCODE = '42501', HINT = 'gk.disarm comes first.';
  ELSIF f.state = 'minted' THEN
    RAISE EXCEPTION 'session % is not disarmed', p_session USING ERRCODE = '55000', HINT = 'gk.disarm comes first.';
  END IF;
  RETURN CASE WHEN f.role_oid IS NULL THEN 0 ELSE gk.signal(f.role_oid) END;
END
$$;
