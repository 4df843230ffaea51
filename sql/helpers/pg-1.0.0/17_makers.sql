-- 17_makers.sql: who makes the sessions' roles, from PostgreSQL 16 on.
--
-- There, whoever makes a role becomes its administrator, and each use of that right walks through all roles that he
-- administers: with one maker a mint got dearer with every live session, 20 ms at five thousand. So 32 roles of this
-- database share the work. What always holds: a maker has no login and no right but CREATEROLE, which reaches the roles
-- that it made and no others; gk_owner alone may act through it, and no helper does so with another's text.

CREATE TABLE IF NOT EXISTS gk.maker (
  place    int PRIMARY KEY CHECK (place > 0),   -- from 1 on without gaps; none before PostgreSQL 16
  role_oid oid NOT NULL UNIQUE
);

DO $gk$
DECLARE
  v_db    oid  := (SELECT d.oid FROM pg_database d WHERE d.datname = current_database());
  v_dba   name := current_setting('gk.dba');
  v_super bool := (SELECT r.rolsuper FROM pg_roles r WHERE r.rolname = current_setting('gk.dba'));
  v_role  name;
  r       record;
BEGIN
  IF current_setting('server_version_num')::int < 160000 THEN RETURN; END IF;
  FOR i IN 1..32 LOOP
    v_role := format('gkmaker_%s_%s', to_char(i, 'FM00'), v_db)::name;
    SELECT x.oid, k.place, NOT x.rolcreaterole OR x.rolcanlogin OR x.rolsuper OR x.rolreplication OR x.rolbypassrls AS bad
      INTO r FROM pg_roles x LEFT JOIN gk.maker k ON k.role_oid = x.oid WHERE x.rolname = v_role;
    IF r.oid IS NOT NULL AND (r.bad OR r.place IS DISTINCT FROM i) THEN
      RAISE EXCEPTION 'role % exists already and is none of Gatekeeper''s, or has other rights than it gives', v_role
        USING ERRCODE = '42501', HINT = 'Drop or rename it: Gatekeeper adopts no role that it did not make.';
    END IF;
    EXECUTE format('SET LOCAL ROLE %I', v_dba);
    IF r.oid IS NULL THEN
      EXECUTE format('CREATE ROLE %I NOLOGIN CREATEROLE NOINHERIT', v_role);
      EXECUTE format('COMMENT ON ROLE %I IS %L', v_role, 'gatekeeper maker database ' || current_database());
    END IF;
    -- for as long as it takes to make its function
    IF NOT v_super THEN EXECUTE format('GRANT %I TO %I WITH INHERIT FALSE, SET TRUE', v_role, v_dba); END IF;
    SET LOCAL ROLE gk_owner;
    INSERT INTO gk.maker (place, role_oid) VALUES (i, to_regrole(v_role::text))
      ON CONFLICT (place) DO UPDATE SET role_oid = excluded.role_oid;
    IF EXISTS (SELECT FROM pg_proc p WHERE p.pronamespace = 'gk'::regnamespace AND p.proname = 'as_maker_' || i
                  AND p.proowner <> to_regrole(v_role::text)) THEN
      EXECUTE format('DROP FUNCTION gk.as_maker_%s(text)', i);  -- of the database that this one was copied from
    END IF;
    EXECUTE format('GRANT USAGE, CREATE ON SCHEMA gk TO %I', v_role);
    EXECUTE format('SET LOCAL ROLE %I', v_role);
    EXECUTE format(
      'CREATE OR REPLACE FUNCTION gk.as_maker_%1$s(p_sql text) RETURNS void LANGUAGE plpgsql SECURITY DEFINER '
      'SET search_path = pg_catalog, pg_temp SET createrole_self_grant = '''' AS $f$ BEGIN EXECUTE p_sql; END $f$; '
      'REVOKE ALL ON FUNCTION gk.as_maker_%1$s(text) FROM PUBLIC; '
      'GRANT EXECUTE ON FUNCTION gk.as_maker_%1$s(text) TO gk_owner', i);
    SET LOCAL ROLE gk_owner;
    EXECUTE format('REVOKE USAGE, CREATE ON SCHEMA gk FROM %I', v_role);
    EXECUTE format('SET LOCAL ROLE %I', v_dba);
    IF NOT v_super THEN EXECUTE format('REVOKE %I FROM %I', v_role, v_dba); END IF;
    SET LOCAL ROLE gk_owner;
  END LOOP;
END
$gk$;

-- Runs a CREATE ROLE. The key says which maker: any number, best an even one.
CREATE OR REPLACE FUNCTION gk.make(p_key int, p_sql text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_makers int := (SELECT count(*) FROM gk.maker);
BEGIN
  IF v_makers = 0 THEN
    EXECUTE p_sql;
  ELSE
    EXECUTE format('SELECT gk.as_maker_%s($1)', 1 + p_key % v_makers) USING p_sql;
  END IF;
END
$$;

-- Runs what only the maker of a role may do to it: ALTER, COMMENT, DROP, and granting it.
CREATE OR REPLACE FUNCTION gk.alter_made(p_role name, p_sql text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_place int := (SELECT k.place FROM pg_catalog.pg_auth_members m JOIN gk.maker k ON k.role_oid = m.member
                   WHERE m.roleid = to_regrole(quote_ident(p_role)) AND m.admin_option LIMIT 1);
BEGIN
  IF v_place IS NULL THEN
    EXECUTE p_sql;
  ELSE
    EXECUTE format('SELECT gk.as_maker_%s($1)', v_place) USING p_sql;
  END IF;
END
$$;
