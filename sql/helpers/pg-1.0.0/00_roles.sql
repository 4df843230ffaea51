-- 00_roles.sql: the three roles of Gatekeeper on a target, and the schema that holds the helpers.
--
-- Run by the bootstrap script inside one transaction, as a superuser or as a DBA without superuser who has
-- CREATEROLE and owns the database. Repeatable. What always holds afterwards:
--   gk_owner  NOLOGIN, CREATEROLE, no data. Owns schema gk; the helpers run with its rights.
--   gk_heir   NOLOGIN, may do nothing. Receives what an ended session's role owned.
--   gk_agent  LOGIN, NOINHERIT, member of nothing. May EXECUTE the helpers and nothing else.
-- A role of one of these names that looks otherwise stops the bootstrap: nothing is adopted on trust.

-- Nothing that a user has planted in another schema may be reached from here on.
SET LOCAL search_path = pg_catalog, pg_temp;
SET LOCAL client_min_messages = warning;
-- The body of a helper may name what a later file creates.
SET LOCAL check_function_bodies = off;
SELECT set_config('gk.dba', current_user, true);

DO $gk$
BEGIN
  IF current_setting('server_version_num')::int < 140000 THEN
    RAISE EXCEPTION 'Gatekeeper needs PostgreSQL 14 or newer; this is %', current_setting('server_version')
      USING ERRCODE = '0A000';
  END IF;
  IF NOT (SELECT r.rolsuper OR r.rolcreaterole FROM pg_roles r WHERE r.rolname = current_user) THEN
    RAISE EXCEPTION 'role % may not create roles', current_user
      USING ERRCODE = '42501', HINT = 'Run the bootstrap as a superuser, or as the database''s owner with CREATEROLE.';
  END IF;
  IF NOT has_database_privilege(current_database(), 'CREATE') THEN
    RAISE EXCEPTION 'role % may not create a schema in database %', current_user, current_database()
      USING ERRCODE = '42501', HINT = 'Run the bootstrap as the owner of the database.';
  END IF;
END
$gk$;

DO $gk$
BEGIN
  IF to_regrole('gk_owner') IS NULL THEN CREATE ROLE gk_owner NOLOGIN CREATEROLE INHERIT; END IF;
  IF to_regrole('gk_heir') IS NULL THEN CREATE ROLE gk_heir NOLOGIN; END IF;
  -- room for three agents that each use all of theirs
  IF to_regrole('gk_agent') IS NULL THEN CREATE ROLE gk_agent LOGIN NOINHERIT CONNECTION LIMIT 100; END IF;
END
$gk$;

DO $gk$
DECLARE
  v_bad text;
BEGIN
  SELECT string_agg(r.rolname, ', ') INTO v_bad
    FROM pg_roles r
   WHERE (r.rolname = 'gk_owner'
          AND (r.rolcanlogin OR r.rolsuper OR r.rolreplication OR r.rolbypassrls OR NOT r.rolcreaterole))
      OR (r.rolname = 'gk_heir'
          AND (r.rolcanlogin OR r.rolsuper OR r.rolreplication OR r.rolbypassrls OR r.rolcreaterole OR r.rolcreatedb
               OR EXISTS (SELECT FROM pg_auth_members m WHERE m.member = r.oid)))
      OR (r.rolname = 'gk_agent'
          AND (r.rolinherit OR r.rolsuper OR r.rolreplication OR r.rolbypassrls OR r.rolcreaterole OR r.rolcreatedb
               OR EXISTS (SELECT FROM pg_auth_members m WHERE m.member = r.oid)));
  IF v_bad IS NOT NULL THEN
    RAISE EXCEPTION 'these roles exist already and have other rights than Gatekeeper gives them: %', v_bad
      USING ERRCODE = '42501',
            HINT = 'gk_owner: NOLOGIN CREATEROLE. gk_heir: nothing. gk_agent: LOGIN NOINHERIT, member of no role. Mend or rename them.';
  END IF;
END
$gk$;

-- The DBA acts as gk_owner below and registers packs later. A superuser can without a grant; another DBA can if he
-- made gk_owner, or if who made it gave it to him.
DO $gk$
DECLARE
  v_v16 boolean := current_setting('server_version_num')::int >= 160000;
BEGIN
  IF NOT (SELECT r.rolsuper FROM pg_roles r WHERE r.rolname = current_user)
     AND NOT pg_has_role(current_user, 'gk_owner', CASE WHEN v_v16 THEN 'SET' ELSE 'MEMBER' END) THEN
    EXECUTE format('GRANT gk_owner TO %I', current_user) || CASE WHEN v_v16 THEN ' WITH INHERIT TRUE, SET TRUE' ELSE '' END;
  END IF;
  -- REASSIGN OWNED .. TO gk_heir asks for the rights of both sides.
  IF NOT pg_has_role('gk_owner', 'gk_heir', 'USAGE') THEN GRANT gk_heir TO gk_owner; END IF;
  EXECUTE format('GRANT CONNECT ON DATABASE %I TO gk_agent', current_database());
EXCEPTION WHEN insufficient_privilege THEN
  RAISE EXCEPTION 'role % may not act as gk_owner, which another DBA has made on this server', current_user
    USING ERRCODE = '42501', HINT = format('Let that DBA run: GRANT gk_owner TO %I; GRANT gk_heir TO gk_owner;', current_user);
END
$gk$;

-- Ends sessions whose role is gone already. Only who has it to give can give it: doctor() says so if it is missing.
DO $gk$
BEGIN
  IF NOT pg_has_role('gk_owner', 'pg_signal_backend', 'MEMBER') THEN GRANT pg_signal_backend TO gk_owner; END IF;
EXCEPTION
  WHEN insufficient_privilege THEN NULL;
END
$gk$;

DO $gk$
DECLARE
  v_owner name := (SELECT r.rolname FROM pg_namespace n JOIN pg_roles r ON r.oid = n.nspowner WHERE n.nspname = 'gk');
BEGIN
  IF v_owner IS NULL THEN
    CREATE SCHEMA gk AUTHORIZATION gk_owner;
  ELSIF v_owner <> 'gk_owner' THEN
    RAISE EXCEPTION 'schema gk exists already and belongs to %', v_owner
      USING ERRCODE = '42501', HINT = 'Gatekeeper needs a schema gk of its own: rename or drop the other one.';
  END IF;
END
$gk$;

-- From here on everything is made by, and belongs to, gk_owner.
SET LOCAL ROLE gk_owner;
REVOKE ALL ON SCHEMA gk FROM PUBLIC;
GRANT USAGE ON SCHEMA gk TO gk_agent;
-- A new function is nobody's but the owner's, not even between two statements of this script.
ALTER DEFAULT PRIVILEGES FOR ROLE gk_owner REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
