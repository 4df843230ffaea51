-- 33_stock.sql: roles made ahead of need, so that a mint pays for ALTER ROLE and not for thousands of hash rounds.
--
-- What always holds: a spare cannot log in, is a member of nothing, has never been anybody's and becomes one session's
-- role at most; there are never more than `spare_limit`; without one a mint makes its role as if there were no stock.

CREATE OR REPLACE FUNCTION gk.spare_marker(p_database name) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$ SELECT 'gatekeeper spare database ' || p_database::text $$;

-- Is this still the role that was put into stock, as it was put there?
CREATE OR REPLACE FUNCTION gk.is_spare(p_oid oid, p_name name) RETURNS boolean
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RETURN EXISTS (
    SELECT FROM pg_catalog.pg_roles r
     WHERE r.oid = p_oid AND r.rolname = p_name AND r.rolinherit
       AND NOT (r.rolcanlogin OR r.rolsuper OR r.rolcreaterole OR r.rolcreatedb OR r.rolreplication OR r.rolbypassrls))
     AND NOT EXISTS (SELECT FROM pg_catalog.pg_auth_members m WHERE m.member = p_oid);
END
$$;

-- CREATE ROLE and its mark. Errors are raised anew so that the statement's text stays here.
CREATE OR REPLACE FUNCTION gk.create_spare(p_role name, p_verifier text) RETURNS oid
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM gk.make(get_byte(sha256(convert_to(p_verifier, 'UTF8')), 0), format(
    'CREATE ROLE %I NOLOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS INHERIT '
    'CONNECTION LIMIT 0 PASSWORD %L VALID UNTIL %L; COMMENT ON ROLE %1$I IS %4$L',
    p_role, p_verifier, '1970-01-01 00:00:00+00', gk.spare_marker(current_database())));
  RETURN to_regrole(p_role::text)::oid;
EXCEPTION
  WHEN query_canceled THEN
    RAISE EXCEPTION 'making a spare role was cancelled' USING ERRCODE = '57014';
  WHEN OTHERS THEN
    RAISE EXCEPTION 'could not make spare role %', p_role
      USING ERRCODE = CASE SQLSTATE WHEN 'XX000' THEN '40001' ELSE SQLSTATE END;
END
$$;

-- Puts a role with this secret into stock, for the gk.mint that will bring the same secret. 'made', also if it is there
-- already; 'full'; 'busy' while another connection fills the stock, because the limit is for all of them together.
CREATE OR REPLACE FUNCTION gk.stock(p_verifier text) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '1s' AS $$
DECLARE
  v_sha  bytea;
  v_role name;
BEGIN
  PERFORM gk.check_verifier(p_verifier);
  v_sha := sha256(convert_to(p_verifier, 'UTF8'));
  v_role := ('gkspare_' || left(encode(v_sha, 'hex'), 32))::name;
  PERFORM FROM gk.setting s WHERE s.name = 'spare_limit' FOR NO KEY UPDATE SKIP LOCKED;
  IF NOT FOUND THEN
    RETURN 'busy';
  ELSIF EXISTS (SELECT FROM gk.spare x WHERE x.verifier_sha = v_sha) THEN
    RETURN 'made';
  ELSIF (SELECT count(*) FROM gk.spare) >= gk.setting_of('spare_limit') THEN
    RETURN 'full';
  END IF;
  INSERT INTO gk.spare (verifier_sha, role_name, role_oid, maker_pid)
  VALUES (v_sha, v_role, gk.create_spare(v_role, p_verifier), pg_backend_pid());
  RETURN 'made';
END
$$;

-- Gives a session the spare that has its secret, under the session's name, and does the rest to it in the same breath;
-- false if there is none. One that is being dropped at this moment is none, and neither is one that somebody else has
-- touched: it is left to the sweep.
CREATE OR REPLACE FUNCTION gk.take_spare(f gk.fence, p_rest text) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  s gk.spare;
BEGIN
  SELECT * INTO s FROM gk.spare x WHERE x.verifier_sha = f.verifier_sha FOR UPDATE SKIP LOCKED;
  IF NOT FOUND OR NOT gk.is_spare(s.role_oid, s.role_name) THEN RETURN false; END IF;
  DELETE FROM gk.spare x WHERE x.verifier_sha = s.verifier_sha;
  -- a SCRAM secret outlives the new name
  PERFORM gk.alter_made(s.role_name, format('ALTER ROLE %I RENAME TO %I', s.role_name, f.role_name) || p_rest);
  RETURN true;
END
$$;

-- Drops a spare, or lets go of one that somebody else has touched. What cannot be dropped stays for the next try.
CREATE OR REPLACE FUNCTION gk.drop_spare(s gk.spare) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET lock_timeout = '250ms' SET client_min_messages = error AS $$
BEGIN
  PERFORM FROM gk.spare x WHERE x.verifier_sha = s.verifier_sha FOR UPDATE SKIP LOCKED;
  IF NOT FOUND THEN RETURN; END IF;
  DELETE FROM gk.spare x WHERE x.verifier_sha = s.verifier_sha;
  IF gk.is_spare(s.role_oid, s.role_name) THEN
    PERFORM gk.alter_made(s.role_name, format('DROP ROLE %I', s.role_name));
  END IF;
EXCEPTION WHEN OTHERS THEN
  NULL;  -- such as a right that a DBA gave to it; harmless, and it keeps its place in the limit
END
$$;

-- Spares that nobody will use: too old, of a connection that is gone (and with it the secret, which only its agent
-- knew), or with our mark and without a row, as after a restore of this database.
CREATE OR REPLACE FUNCTION gk.clear_spares() RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET lock_timeout = '250ms' SET client_min_messages = error AS $$
DECLARE
  v_now timestamptz := clock_timestamp();
  r     record;
BEGIN
  PERFORM pg_stat_clear_snapshot();
  PERFORM gk.drop_spare(x) FROM gk.spare x
    WHERE v_now NOT BETWEEN x.made_at AND x.made_at + make_interval(mins => gk.setting_of('spare_minutes'))
       OR NOT EXISTS (SELECT FROM pg_catalog.pg_stat_activity a
                       WHERE a.pid = x.maker_pid AND a.usesysid = 'gk_agent'::regrole AND a.datname = current_database());
  FOR r IN SELECT p.rolname FROM pg_catalog.pg_roles p
            WHERE p.rolname >= 'gkspare_' AND p.rolname < 'gkspare`' AND gk.is_spare(p.oid, p.rolname)
              AND shobj_description(p.oid, 'pg_authid') = gk.spare_marker(current_database())
              AND NOT EXISTS (SELECT FROM gk.spare x WHERE x.role_oid = p.oid)
            LIMIT 100
  LOOP
    BEGIN
      PERFORM gk.alter_made(r.rolname, format('DROP ROLE %I', r.rolname));
    EXCEPTION WHEN OTHERS THEN
      NULL;  -- one in the making has no row that could be seen yet, or something holds it: the next tick looks again
    END;
  END LOOP;
END
$$;
