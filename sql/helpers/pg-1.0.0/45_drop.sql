-- 45_drop.sql: reap and clean_here, which remove what is left of a session.
--
-- What always holds: a role is dropped only after its NOLOGIN was committed and nobody of it was seen twice, a while
-- apart; what it owned goes to gk_heir first, DROP OWNED never comes before that and never cascades; what cannot be
-- dropped is told by name together with the SQL that mends it, and is harmless meanwhile.

-- Hands on what the role owns in this database, and takes away what was granted to it here.
CREATE OR REPLACE FUNCTION gk.hand_on(p_role name) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET client_min_messages = error AS $$
BEGIN
  PERFORM gk.own(p_role);
  -- to a role without any right: a SECURITY DEFINER function left behind must not gain power
  EXECUTE format('REASSIGN OWNED BY %I TO gk_heir', p_role);
  EXECUTE format('DROP OWNED BY %I', p_role);
END
$$;

-- How many objects of other databases still refer to the role.
CREATE OR REPLACE FUNCTION gk.left_elsewhere(p_oid oid) RETURNS TABLE (database name, objects bigint)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY
    SELECT d.datname, count(*)
      FROM pg_catalog.pg_shdepend s JOIN pg_catalog.pg_database d ON d.oid = s.dbid
     WHERE s.refclassid = 'pg_catalog.pg_authid'::pg_catalog.regclass AND s.refobjid = p_oid
       AND d.datname <> current_database()
     GROUP BY 1 ORDER BY 1;
END
$$;

CREATE OR REPLACE FUNCTION gk.left_here(p_oid oid) RETURNS bigint
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RETURN (
    SELECT count(*) FROM pg_catalog.pg_shdepend s
     WHERE s.refclassid = 'pg_catalog.pg_authid'::pg_catalog.regclass AND s.refobjid = p_oid
       AND s.dbid IN (0, (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = current_database())));
END
$$;

-- How to mend what the error says, for a person with more rights than gk_owner has.
CREATE OR REPLACE FUNCTION gk.mend_of(p_role name, p_state text, p_message text) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT CASE
    WHEN p_state = '55P03' THEN 'another session holds a lock on it; it is tried again by itself'
    WHEN p_state = '42501' AND p_message ~ '^permission denied for schema ' THEN
      format('GRANT CREATE ON SCHEMA %s TO gk_heir;', substr(p_message, length('permission denied for schema ') + 1))
    ELSE format('in database %I, as a superuser or the grantor: %sREASSIGN OWNED BY %I TO gk_heir; DROP OWNED BY %I;',
                current_database(), CASE p_state WHEN '57014' THEN 'SET statement_timeout = 0; ' ELSE '' END, p_role, p_role)
  END || ' (then it is dropped at the next try)'
$$;

-- Why there is more to hand on than the agent's statement_timeout leaves time for, or null.
CREATE OR REPLACE FUNCTION gk.too_much(f gk.fence) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RETURN (
    SELECT format('%s objects in database %I depend on it, which are too many to hand on here; to mend, there, as a '
                  'superuser: SET statement_timeout = 0; REASSIGN OWNED BY %I TO gk_heir; DROP OWNED BY %I; '
                  '(then it is dropped at the next try)', n, current_database(), f.role_name, f.role_name)
      FROM gk.left_here(f.role_oid) n WHERE n > 20000);
END
$$;

-- Drops the role, or says what is in the way. Each half stands by itself: what was handed on stays so. A cancel, too, is
-- only in the way: were it passed on, one role would undo what a sweep has done to all the others.
CREATE OR REPLACE FUNCTION gk.try_drop(f gk.fence) RETURNS TABLE (outcome text, detail text)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET client_min_messages = error AS $$
#variable_conflict use_column
DECLARE
  v_msg    text;
  v_detail text;
BEGIN
  v_msg := gk.too_much(f);
  IF v_msg IS NOT NULL THEN
    RETURN QUERY SELECT 'stuck'::text, v_msg;
    RETURN;
  END IF;
  IF gk.left_here(f.role_oid) > 0 THEN
    PERFORM gk.hand_on(f.role_name);
  END IF;
  SELECT string_agg(format('%s object(s) in database %I', e.objects, e.database), ', ') INTO v_msg
    FROM gk.left_elsewhere(f.role_oid) e;
  IF v_msg IS NOT NULL THEN
    PERFORM gk.own(f.role_name);  -- its maker is of this database alone, and there gk_owner has to act
    RETURN QUERY SELECT 'elsewhere'::text, v_msg || format(
      '; to mend, there: SELECT gk.clean_here(%L); or, where Gatekeeper is not installed, as a superuser: '
      'REASSIGN OWNED BY %I TO gk_heir; DROP OWNED BY %I;', f.session, f.role_name, f.role_name);
    RETURN;
  END IF;
  BEGIN
    PERFORM gk.alter_made(f.role_name, format('DROP ROLE %I', f.role_name));
  EXCEPTION WHEN query_canceled OR OTHERS THEN
    GET STACKED DIAGNOSTICS v_msg = MESSAGE_TEXT, v_detail = PG_EXCEPTION_DETAIL;
    RETURN QUERY SELECT 'stuck'::text, format('%s [%s] %s; to mend: %s', v_msg, SQLSTATE,
      replace(coalesce(v_detail, ''), chr(10), '; '), gk.mend_of(f.role_name, SQLSTATE, v_msg));
    RETURN;
  END;
  RETURN QUERY SELECT 'dropped'::text, ''::text;
EXCEPTION WHEN query_canceled OR OTHERS THEN
  GET STACKED DIAGNOSTICS v_msg = MESSAGE_TEXT;
  RETURN QUERY SELECT 'stuck'::text,
    format('%s [%s]; to mend: %s', v_msg, SQLSTATE, gk.mend_of(f.role_name, SQLSTATE, v_msg));
END
$$;

-- Why it is too early to drop, or null. Quiet means: seen without a backend now and settle_ms ago, in two transactions.
CREATE OR REPLACE FUNCTION gk.too_early(f gk.fence, OUT outcome text, OUT detail text)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  n        bigint := (SELECT count(*) FROM gk.backends(f.role_oid));
  v_settle interval := make_interval(secs => gk.setting_of('settle_ms') / 1000.0);
BEGIN
  IF n > 0 THEN
    UPDATE gk.fence x SET quiet_since = NULL WHERE x.session = f.session;
    outcome := 'busy';  detail := format('%s session(s) still there: call gk.kill', n);
  ELSIF f.disarmed_xid IS NOT DISTINCT FROM pg_current_xact_id_if_assigned() THEN
    outcome := 'settling';  detail := 'the disarm is not committed yet';
  ELSIF f.quiet_since IS NULL OR clock_timestamp() < f.quiet_since THEN
    UPDATE gk.fence x SET quiet_since = clock_timestamp() WHERE x.session = f.session;
    outcome := 'settling';  detail := 'seen without a session once; a second look follows';
  ELSIF clock_timestamp() < f.quiet_since + v_settle THEN
    outcome := 'settling';  detail := 'the second look is not due yet';
  END IF;
END
$$;

-- What cannot be tried at all, or null.
CREATE OR REPLACE FUNCTION gk.hopeless(f gk.fence) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RETURN (
    SELECT CASE
      WHEN gk.prepared_by(f.role_oid) IS NOT NULL
        THEN 'it left prepared transactions, which only a superuser can end; to mend: ' || gk.prepared_by(f.role_oid)
      WHEN r.rolname <> f.role_name
        THEN format('it was renamed to %I outside Gatekeeper; to mend: DROP ROLE %I; or ALTER ROLE %I RENAME TO %I;',
                    r.rolname, r.rolname, r.rolname, f.role_name)
    END FROM pg_catalog.pg_roles r WHERE r.oid = f.role_oid);
END
$$;

-- One try on a locked row that is disarmed, with its result written down.
CREATE OR REPLACE FUNCTION gk.reap_row(f gk.fence) RETURNS TABLE (outcome text, detail text)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  v_out  text;
  v_note text;
BEGIN
  SELECT t.outcome, t.detail INTO v_out, v_note FROM gk.too_early(f) t;
  IF v_out IS NULL THEN
    v_note := gk.hopeless(f);
    IF v_note IS NOT NULL THEN
      v_out := 'stuck';
    ELSIF NOT EXISTS (SELECT FROM pg_catalog.pg_roles r WHERE r.oid = f.role_oid) THEN
      v_out := 'dropped';
    ELSE
      SELECT t.outcome, t.detail INTO v_out, v_note FROM gk.try_drop(f) t;
    END IF;
  END IF;
  IF v_out = 'dropped' THEN
    UPDATE gk.fence x SET state = 'closed', closed_at = clock_timestamp(), tries = 0, next_try_at = NULL
     WHERE x.session = f.session;
  ELSIF v_out IN ('stuck', 'elsewhere') THEN
    PERFORM gk.strip(f);
    UPDATE gk.fence x SET state = 'stuck', tries = x.tries + 1, detail = left(v_note, 2000),
           next_try_at = clock_timestamp() + make_interval(secs => least(60, 2 ^ least(x.tries, 6)))
     WHERE x.session = f.session;
  END IF;
  RETURN QUERY SELECT v_out, coalesce(v_note, '');
END
$$;

-- The row of a session whose login is off, locked. Refuses what was never minted and what can still log in.
CREATE OR REPLACE FUNCTION gk.ending_row(p_session text) RETURNS gk.fence
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_role name := gk.role_of(p_session);
  f      gk.fence;
BEGIN
  SELECT * INTO f FROM gk.fence x WHERE x.session = p_session FOR UPDATE;
  IF NOT FOUND THEN
    RAISE EXCEPTION '% is not a minted role', v_role USING ERRCODE = '42501', HINT = 'gk.disarm comes first.';
  ELSIF f.state IN ('minted', 'blocked') THEN
    RAISE EXCEPTION 'session % is not disarmed', p_session USING ERRCODE = '55000', HINT = 'gk.disarm comes first.';
  END IF;
  RETURN f;
END
$$;

-- 'dropped' | 'busy' | 'settling' | 'elsewhere': call gk.clean_here there | 'stuck': the detail says what and how to mend
CREATE OR REPLACE FUNCTION gk.reap(p_session text) RETURNS TABLE (outcome text, detail text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '2s' AS $$
#variable_conflict use_column
DECLARE
  f gk.fence := gk.ending_row(p_session);
BEGIN
  IF f.state = 'closed' THEN
    RETURN QUERY SELECT 'dropped'::text, ''::text;
  ELSE
    RETURN QUERY SELECT * FROM gk.reap_row(f);
  END IF;
END
$$;

-- What reap called 'elsewhere', in this database. Only for a minted role of this server that is disarmed and offline.
-- True: nothing of it is left here. False: it is connected, kill comes first.
CREATE OR REPLACE FUNCTION gk.clean_here(p_session text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '2s' AS $$
DECLARE
  v_role name := gk.role_of(p_session);
  v_oid  oid;
BEGIN
  SELECT r.oid INTO v_oid FROM pg_catalog.pg_roles r WHERE r.rolname = v_role;
  IF NOT FOUND THEN RETURN true; END IF;
  IF NOT gk.is_marked(v_oid, true)
     OR EXISTS (SELECT FROM pg_catalog.pg_roles r WHERE r.oid = v_oid AND (r.rolcanlogin OR r.rolconnlimit <> 0)) THEN
    RAISE EXCEPTION '% is not a disarmed minted role', v_role USING ERRCODE = '42501', HINT = 'gk.disarm comes first, at its home.';
  END IF;
  IF EXISTS (SELECT FROM gk.backends(v_oid)) THEN RETURN false; END IF;
  PERFORM gk.hand_on(v_role);
  RETURN true;
END
$$;
