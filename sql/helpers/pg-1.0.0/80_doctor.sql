-- 80_doctor.sql: what is missing or dangerous on this target, and the SQL that mends it. Reads only.

-- Is there a line in pg_hba.conf by which a minted role could come in without its secret? Null: not visible to us.
CREATE OR REPLACE FUNCTION gk.hba_fault() RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_lines text;
BEGIN
  SELECT string_agg(h.line_number::text || ' (' || h.auth_method || ')', ', ') INTO v_lines
    FROM pg_catalog.pg_hba_file_rules h
   WHERE h.auth_method IN ('trust', 'ident', 'peer', 'cert') AND h.error IS NULL
     AND (h.user_name && ARRAY['all'] OR EXISTS (SELECT FROM unnest(h.user_name) u WHERE left(u, 3) IN ('gk_', '+gk')));
  RETURN coalesce('lines ' || v_lines, '');
EXCEPTION WHEN insufficient_privilege THEN
  RETURN NULL;
END
$$;

-- Powers that the agent's login has besides the helpers, or an empty text.
CREATE OR REPLACE FUNCTION gk.agent_excess() RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT coalesce(string_agg(x.what, '; '), '') FROM (
    SELECT 'it has attributes or inherits' AS what FROM pg_catalog.pg_roles r WHERE r.rolname = 'gk_agent'
       AND (r.rolsuper OR r.rolcreaterole OR r.rolcreatedb OR r.rolreplication OR r.rolbypassrls OR r.rolinherit)
    UNION ALL
    SELECT 'it is a member of ' || m.roleid::regrole FROM pg_catalog.pg_auth_members m WHERE m.member = 'gk_agent'::regrole
    UNION ALL
    SELECT format('%s object(s) belong to it', count(*)) FROM pg_catalog.pg_shdepend s
     WHERE s.refclassid = 'pg_catalog.pg_authid'::regclass AND s.refobjid = 'gk_agent'::regrole AND s.deptype = 'o'
    HAVING count(*) > 0
    UNION ALL
    SELECT 'it may use table ' || c.oid::regclass FROM pg_catalog.pg_class c, LATERAL aclexplode(c.relacl) a
     WHERE a.grantee = 'gk_agent'::regrole
  ) x
$$;

-- Functions with the rights of their owner that everybody may call: a SELECT-only session reaches those too.
CREATE OR REPLACE FUNCTION gk.open_definers() RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT coalesce(string_agg(p.oid::regprocedure::text, ', ' ORDER BY p.oid), '')
    FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace,
         LATERAL aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
   WHERE p.prosecdef AND a.grantee = 0 AND n.nspname NOT IN ('pg_catalog', 'information_schema')
$$;

-- Databases that every role of this server may connect to.
CREATE OR REPLACE FUNCTION gk.open_databases() RETURNS name[]
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT coalesce(array_agg(DISTINCT d.datname), '{}')
    FROM pg_catalog.pg_database d, LATERAL aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) a
   WHERE a.grantee = 0 AND a.privilege_type = 'CONNECT' AND d.datallowconn AND NOT d.datistemplate
$$;

-- The grants by which a pack would reach what it does not reach yet: other owners' tables, and those made since by them.
-- What it should have on a table is what it has on its other tables.
CREATE OR REPLACE FUNCTION gk.missing_grants() RETURNS TABLE (object text, grantsql text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  WITH wanted AS (
    SELECT k.role_oid, k.role_name, coalesce(
             (SELECT string_agg(DISTINCT a.privilege_type, ', ') FROM pg_catalog.pg_class c, LATERAL aclexplode(c.relacl) a
               WHERE a.grantee = k.role_oid AND c.relkind <> 'S'),
             CASE k.name WHEN 'app_write' THEN 'DELETE, INSERT, SELECT, UPDATE' ELSE 'SELECT' END) AS privileges
      FROM gk.pack k WHERE k.enabled AND gk.pack_fault(k.role_oid, k.role_name) IS NULL
  ), app AS (
    SELECT n.oid, n.nspname FROM gk.app_schema s JOIN pg_catalog.pg_namespace n ON n.nspname = s.name
  )
  SELECT 'schema ' || quote_ident(a.nspname), format('GRANT USAGE ON SCHEMA %I TO %I;', a.nspname, w.role_name)
    FROM app a, wanted w WHERE NOT has_schema_privilege(w.role_oid, a.oid, 'USAGE')
  UNION ALL
  SELECT c.oid::regclass::text, format('GRANT %s ON %s TO %I;', w.privileges, c.oid::regclass, w.role_name)
    FROM app a JOIN pg_catalog.pg_class c ON c.relnamespace = a.oid AND c.relkind IN ('r', 'p', 'v', 'm', 'f'), wanted w
   WHERE NOT has_table_privilege(w.role_oid, c.oid, 'SELECT')
$$;

-- What must hold for the promises to hold.
CREATE OR REPLACE FUNCTION gk.doctor_core() RETURNS TABLE (check_name text, ok boolean, detail text, mend text)
LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
  SELECT 'helpers', true, 'version ' || gk.version() || ' on PostgreSQL ' || current_setting('server_version'), ''
  UNION ALL
  SELECT 'owner', NOT (r.rolcanlogin OR r.rolsuper OR r.rolreplication OR r.rolbypassrls) AND r.rolcreaterole,
         'gk_owner must be NOLOGIN with CREATEROLE alone', 'ALTER ROLE gk_owner NOLOGIN NOSUPERUSER NOREPLICATION NOBYPASSRLS CREATEROLE;'
    FROM pg_catalog.pg_roles r WHERE r.rolname = 'gk_owner'
  UNION ALL
  SELECT 'makers', count(*) = count(r.oid) FILTER (WHERE r.rolcreaterole AND NOT (r.rolcanlogin OR r.rolsuper OR r.rolreplication OR r.rolbypassrls)),
         'the roles gkmaker_* of this database must be NOLOGIN with CREATEROLE alone', 'Run the bootstrap again; it says which is not.'
    FROM gk.maker k LEFT JOIN pg_catalog.pg_roles r ON r.oid = k.role_oid HAVING count(*) > 0
  UNION ALL
  SELECT 'agent', gk.agent_excess() = '', coalesce(nullif(gk.agent_excess(), ''), 'gk_agent may call the helpers and nothing else'),
         'Take from gk_agent what is named here; it needs EXECUTE on the helpers alone.'
  UNION ALL
  SELECT 'public_execute', count(*) = 0, 'functions of schema gk that PUBLIC may call: ' || count(*),
         'REVOKE EXECUTE ON ALL ROUTINES IN SCHEMA gk FROM PUBLIC;'
    FROM pg_catalog.pg_proc p, LATERAL aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
   WHERE p.pronamespace = 'gk'::regnamespace AND a.grantee = 0
  UNION ALL
  SELECT 'packs', count(*) > 0 AND count(*) FILTER (WHERE k.fault IS NOT NULL) = 0,
         coalesce(string_agg(k.name || ' ' || k.version || ': ' || coalesce(k.fault, CASE WHEN k.enabled THEN 'ready' ELSE 'not enabled' END), '; '), 'none is registered'),
         'Run the bootstrap again; take from a pack''s role what it must not reach.'
    FROM gk.packs() k
  UNION ALL
  SELECT 'reach', count(*) = 0,
         CASE WHEN count(*) = 0 THEN 'every pack reaches every table of ' || coalesce((SELECT string_agg(quote_ident(s.name), ', ') FROM gk.app_schema s), 'no schema')
              ELSE format('%s tables or schemas are out of a pack''s reach, such as %s', count(*), min(m.object)) END,
         'As their owner: ' || string_agg(m.grantsql, ' ') || ' -- or run the bootstrap again as a role that may grant on them'
    FROM (SELECT * FROM gk.missing_grants() ORDER BY 1 LIMIT 50) m
  UNION ALL
  SELECT 'signal', pg_has_role('gk_owner', 'pg_signal_backend', 'USAGE'),
         'pg_signal_backend lets gk_owner end sessions whose role is gone already', 'GRANT pg_signal_backend TO gk_owner;'
  UNION ALL
  SELECT 'clock', c.ahead < interval '2 seconds' AND c.max_seen < clock_timestamp() + interval '1 minute',
         format('the server''s clock has gone back by %s in all since the bootstrap', c.ahead),
         'Find out why the clock jumps. Sessions end on time all the same. To forget it while none is live: UPDATE gk.clock_mark SET ahead = ''0'', max_seen = clock_timestamp();'
    FROM gk.clock_mark c
$$;

-- What the server's own settings and grants leave open beside Gatekeeper. Nothing of it is changed without the DBA.
CREATE OR REPLACE FUNCTION gk.doctor_around() RETURNS TABLE (check_name text, ok boolean, detail text, mend text)
LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
  SELECT 'createrole', current_setting('server_version_num')::int >= 160000,
         CASE WHEN current_setting('server_version_num')::int >= 160000 THEN 'CREATEROLE reaches the roles that gk_owner made, and no others'
              ELSE 'before PostgreSQL 16 a role with CREATEROLE, such as gk_owner, can make itself nearly a superuser' END,
         'Upgrade to PostgreSQL 16 or newer; until then trust the helpers'' owner as you trust a DBA.'
  UNION ALL
  SELECT 'prepared_transactions', current_setting('max_prepared_transactions') = '0',
         'max_prepared_transactions is ' || current_setting('max_prepared_transactions')
           || '; above 0 a user can keep his role from being dropped, or its login from being closed before its expiry',
         'ALTER SYSTEM SET max_prepared_transactions = 0; -- and restart, if nothing needs them'
  UNION ALL
  SELECT 'pg_hba', coalesce(h.fault = '', true),
         CASE WHEN h.fault IS NULL THEN 'pg_hba.conf is not visible to gk_owner: look that minted roles (gk_*) can come in by scram-sha-256 only'
              WHEN h.fault = '' THEN 'no line lets a minted role in without its secret'
              ELSE 'pg_hba.conf lets minted roles in without their secret: ' || h.fault END,
         'Put before those lines of pg_hba.conf: host all "/^gk_[0-9a-z]{26}$" all scram-sha-256 (16 and newer), and reject what remains.'
    FROM (SELECT gk.hba_fault() AS fault) h
  UNION ALL
  SELECT 'public_create', NOT has_schema_privilege('gk_heir', 'public', 'CREATE'),
         'may every role create objects in schema public: ' || has_schema_privilege('gk_heir', 'public', 'CREATE'),
         'REVOKE CREATE ON SCHEMA public FROM PUBLIC;'
   WHERE to_regnamespace('public') IS NOT NULL
  UNION ALL
  SELECT 'public_temp', NOT has_database_privilege('gk_heir', current_database(), 'TEMP'),
         'may every role create temporary tables in this database: ' || has_database_privilege('gk_heir', current_database(), 'TEMP'),
         format('REVOKE TEMPORARY ON DATABASE %I FROM PUBLIC;', current_database())
  UNION ALL
  SELECT 'public_connect', cardinality(d.open) = 0,
         'databases that every role may connect to: ' || coalesce(nullif(array_to_string(d.open, ', '), ''), 'none'),
         coalesce((SELECT string_agg(format('REVOKE CONNECT ON DATABASE %I FROM PUBLIC;', o), ' ') FROM unnest(d.open) o), '')
           || ' -- then GRANT CONNECT to those who need it, and here to each pack''s role'
    FROM (SELECT gk.open_databases() AS open) d
  UNION ALL
  SELECT 'open_definers', gk.open_definers() = '',
         'SECURITY DEFINER functions that every role may call: ' || coalesce(nullif(gk.open_definers(), ''), 'none'),
         'REVOKE EXECUTE ON FUNCTION .. FROM PUBLIC; for those that change data.'
$$;

CREATE OR REPLACE FUNCTION gk.doctor() RETURNS TABLE (check_name text, ok boolean, detail text, mend text)
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT d.check_name, d.ok, d.detail, CASE WHEN d.ok THEN '' ELSE d.mend END
    FROM (SELECT * FROM gk.doctor_core() UNION ALL SELECT * FROM gk.doctor_around()) d
$$;
