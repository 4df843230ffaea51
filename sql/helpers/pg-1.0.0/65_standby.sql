-- 65_standby.sql: ending sessions on a standby, where nothing can be written.
--
-- Whether somebody may log in is decided where the role is written; a standby learns it when it has replayed that. What
-- always holds: on a standby only connections of our own roles are ended, by oid, and a role that was dropped and whose
-- oid another has by now is nobody of ours.

-- The role of a session as this server has it: its oid, and whether it may still log in here.
CREATE OR REPLACE FUNCTION gk.found_here(p_session text, OUT role_oid oid, OUT armed boolean)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_role name := gk.role_of(p_session);
  f      gk.fence;
  r      record;
BEGIN
  SELECT * INTO f FROM gk.fence x WHERE x.session = p_session;
  role_oid := f.role_oid;
  IF role_oid IS NULL THEN  -- no row, or a tombstone: only our mark makes a role of that name ours
    SELECT p.oid INTO role_oid FROM pg_catalog.pg_roles p WHERE p.rolname = v_role AND gk.is_marked(p.oid);
  END IF;
  SELECT p.rolname, p.rolcanlogin INTO r FROM pg_catalog.pg_roles p WHERE p.oid = found_here.role_oid;
  IF FOUND AND f.state = 'closed' AND r.rolname <> v_role THEN
    role_oid := NULL;
  END IF;
  armed := role_oid IS NOT NULL AND coalesce(r.rolcanlogin, false);
END
$$;

-- One look at a session on a server that is not written to: ends what is connected there and says how it was found.
--   standby   the server replays; where it is false nothing was done, and gk.disarm is what ends a session
--   replayed  how far it had replayed before this look
--   armed     the role can still log in here: its disarm has not arrived
--   backends  connections that were there, and were told to end
CREATE OR REPLACE FUNCTION gk.cut(p_session text, OUT standby boolean, OUT replayed pg_lsn, OUT armed boolean, OUT backends int)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_role name := gk.role_of(p_session);  -- refuses what is no session
  v_here record;
BEGIN
  standby := pg_is_in_recovery();
  IF NOT standby THEN RETURN; END IF;
  replayed := pg_last_wal_replay_lsn();
  v_here := gk.found_here(p_session);
  armed := v_here.armed;
  backends := CASE WHEN v_here.role_oid IS NULL THEN 0 ELSE gk.signal(v_here.role_oid) END;
END
$$;

-- 'busy' | 'settling' | 'quiet': what gk.reap finds, and nothing is dropped. For who has standbys to look at first.
CREATE OR REPLACE FUNCTION gk.quiet(p_session text) RETURNS TABLE (outcome text, detail text)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '2s' AS $$
#variable_conflict use_column
DECLARE
  f gk.fence := gk.ending_row(p_session);
BEGIN
  RETURN QUERY SELECT coalesce(t.outcome, 'quiet'), coalesce(t.detail, '') FROM gk.too_early(f) t;
END
$$;

-- What a standby can do of a sweep: ends the connections of those whose time is over, or who were disarmed where they
-- are written. Logins need no care: VALID UNTIL is checked here, too.
CREATE OR REPLACE FUNCTION gk.sweep_standby() RETURNS TABLE (session text, outcome text, detail text)
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  v_steady timestamptz := gk.steady_clock();
  r        record;
  n        int;
BEGIN
  PERFORM pg_stat_clear_snapshot();
  FOR r IN
    SELECT DISTINCT f.session, f.role_oid
      FROM pg_catalog.pg_stat_activity a JOIN gk.fence f ON f.role_oid = a.usesysid
           LEFT JOIN pg_catalog.pg_roles p ON p.oid = a.usesysid
     WHERE f.state IN ('blocked', 'disarmed', 'stuck')
        OR (f.state = 'minted' AND (f.ends_at <= v_steady OR f.valid_until <= clock_timestamp()))
        OR (f.state = 'closed' AND p.oid IS NULL)
    UNION
    SELECT gk.session_of(p.rolname), p.oid
      FROM pg_catalog.pg_stat_activity a JOIN pg_catalog.pg_roles p ON p.oid = a.usesysid
     WHERE length(p.rolname::text) = 29 AND p.rolname::text ~ '^gk_[0-9a-hjkmnp-tv-z]+$' AND p.rolvaliduntil <= clock_timestamp()
       AND gk.is_marked(p.oid) AND NOT EXISTS (SELECT FROM gk.fence f WHERE f.role_oid = p.oid)
  LOOP
    n := gk.signal(r.role_oid);
    IF n > 0 THEN RETURN QUERY SELECT r.session, 'killed'::text, format('%s session(s) on a standby', n); END IF;
  END LOOP;
END
$$;

-- Is it too early for a sweep to drop a role, because of standbys? Without pg_signal_backend gk_owner may end a role's
-- sessions there only while the role exists; whoever looks at the standbys needs that long.
CREATE OR REPLACE FUNCTION gk.awaits_standbys(f gk.fence) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT NOT pg_has_role('gk_owner', 'pg_signal_backend', 'USAGE')
     AND clock_timestamp() < f.disarmed_at + interval '30 seconds'
     AND EXISTS (SELECT FROM pg_catalog.pg_stat_get_wal_senders())
$$;

-- Does another deadman work on this standby already? There is no row to hold here. Of those that there are the one with
-- the lowest pid stays, so that agents that come and go do not pile them up.
CREATE OR REPLACE FUNCTION gk.is_spare_deadman() RETURNS boolean
LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
  SELECT EXISTS (SELECT FROM pg_catalog.pg_stat_activity a
                  WHERE a.usesysid = 'gk_agent'::regrole AND a.datname = current_database()
                    AND a.application_name = 'gk-deadman' AND a.pid < pg_backend_pid())
$$;
