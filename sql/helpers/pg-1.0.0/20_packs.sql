-- 20_packs.sql: the registry of role packs. Written by DBAs (members of gk_owner), read by the agent.
--
-- A pack is a NOLOGIN role that a DBA gives privileges to; a session is a member of exactly one. What always
-- holds: only a registered, enabled role with the oid we made is ever granted, and only while it reaches no power.

-- What makes a pack unfit to be granted, or null: gone, replaced, or leading (over any number of steps) to a role
-- with attributes, to a login, or to one of Postgres' own roles.
CREATE OR REPLACE FUNCTION gk.pack_fault(p_oid oid, p_name name) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  -- as nearly every pack is: the role itself, which one look at an index shows, and nothing behind it
  IF NOT EXISTS (SELECT FROM pg_catalog.pg_auth_members m WHERE m.member = p_oid)
     AND EXISTS (SELECT FROM pg_catalog.pg_roles r WHERE r.oid = p_oid AND r.rolname = p_name
                  AND NOT (r.rolsuper OR r.rolcreaterole OR r.rolcreatedb OR r.rolreplication OR r.rolbypassrls
                           OR r.rolcanlogin OR r.oid < 16384 OR r.rolname IN ('gk_owner', 'gk_heir', 'gk_agent'))) THEN
    RETURN NULL;
  END IF;
  RETURN (
    WITH RECURSIVE up (oid) AS (
      SELECT p_oid
      UNION
      SELECT m.roleid FROM pg_catalog.pg_auth_members m JOIN up ON m.member = up.oid
    )
    SELECT CASE
      WHEN NOT EXISTS (SELECT FROM pg_catalog.pg_roles r WHERE r.oid = p_oid AND r.rolname = p_name)
        THEN 'its role is gone or was replaced outside Gatekeeper'
      ELSE (SELECT 'its role reaches the privileged role ' || r.rolname
              FROM pg_catalog.pg_roles r JOIN up USING (oid)
             WHERE r.rolsuper OR r.rolcreaterole OR r.rolcreatedb OR r.rolreplication OR r.rolbypassrls
                OR r.rolcanlogin OR r.oid < 16384 OR r.rolname IN ('gk_owner', 'gk_heir', 'gk_agent')
             ORDER BY r.rolname LIMIT 1)
    END);
END
$$;

-- Roles belong to the whole server and packs to one database, so the name ends in the database's oid.
CREATE OR REPLACE FUNCTION gk.pack_role_name(p_name text, p_version text) RETURNS name
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_role text := format('gkpack_%s_%s_%s', p_name, translate(p_version, '.-', '__'),
                        (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = current_database()));
BEGIN
  IF octet_length(v_role) > 63 THEN
    RAISE EXCEPTION 'pack name and version are too long together'
      USING ERRCODE = '22023', HINT = 'The role''s name is gkpack_NAME_VERSION_DATABASE-OID, at most 63 bytes.';
  END IF;
  RETURN v_role::name;
END
$$;

CREATE OR REPLACE FUNCTION gk.pack_check(p_name text, p_version text, p_digest text) RETURNS void
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF p_name IS NULL OR p_name !~ '^[a-z][a-z0-9_]{0,30}$' THEN
    RAISE EXCEPTION 'bad pack name'
      USING ERRCODE = '22023', HINT = 'Lower-case letters, digits and _, a letter first, at most 31.';
  ELSIF p_version IS NULL OR p_version !~ '^[a-z0-9][a-z0-9.-]{0,15}$' THEN
    RAISE EXCEPTION 'bad pack version'
      USING ERRCODE = '22023', HINT = 'Lower-case letters, digits, . and -, at most 16; for example pg-1.0.0.';
  ELSIF p_digest IS NULL OR p_digest !~ '^sha256:[0-9a-f]{64}$' THEN
    RAISE EXCEPTION 'bad pack digest' USING ERRCODE = '22023', HINT = 'sha256: and 64 lower-case hex digits.';
  END IF;
END
$$;

-- Registers a pack and makes its role, which has no privileges yet. Repeating it changes nothing.
CREATE OR REPLACE FUNCTION gk.pack_register(
  p_name text, p_version text, p_digest text, p_max_ttl interval, p_conn_limit int, p_max_live int) RETURNS name
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '5s' AS $$
DECLARE
  pk     gk.pack;
  v_role name;
BEGIN
  PERFORM gk.pack_check(p_name, p_version, p_digest);
  SELECT * INTO pk FROM gk.pack k WHERE k.name = p_name AND k.version = p_version FOR UPDATE;
  IF FOUND THEN
    IF pk.digest <> p_digest THEN
      RAISE EXCEPTION 'a released pack is never edited: % % is registered with another digest', p_name, p_version
        USING ERRCODE = '42501', HINT = 'Release the change as a new version.';
    END IF;
    RETURN pk.role_name;
  END IF;
  v_role := gk.pack_role_name(p_name, p_version);
  IF to_regrole(quote_ident(v_role)) IS NOT NULL THEN
    RAISE EXCEPTION 'role % exists already and is no registered pack of this database', v_role
      USING ERRCODE = 'GK003', HINT = 'Drop or rename it: Gatekeeper adopts no role that it did not make.';
  END IF;
  EXECUTE format('CREATE ROLE %I NOLOGIN', v_role);
  EXECUTE format('COMMENT ON ROLE %I IS %L', v_role,
                 format('gatekeeper pack %s %s database %s', p_name, p_version, current_database()));
  INSERT INTO gk.pack (name, version, digest, role_name, role_oid, max_ttl, conn_limit, max_live)
  SELECT p_name, p_version, p_digest, r.rolname, r.oid, p_max_ttl, p_conn_limit, p_max_live
    FROM pg_catalog.pg_roles r WHERE r.rolname = v_role;
  RETURN v_role;
END
$$;

-- Lets sessions use a pack, or stops new ones. Sessions that run already are not touched.
CREATE OR REPLACE FUNCTION gk.pack_enable(p_name text, p_version text, p_enabled boolean DEFAULT true) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '5s' AS $$
DECLARE
  pk      gk.pack;
  v_fault text;
BEGIN
  SELECT * INTO pk FROM gk.pack k WHERE k.name = p_name AND k.version = p_version FOR UPDATE;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'pack % % is not registered', p_name, p_version USING ERRCODE = '42501', HINT = 'Call gk.pack_register first.';
  END IF;
  v_fault := gk.pack_fault(pk.role_oid, pk.role_name);
  IF p_enabled AND v_fault IS NOT NULL THEN
    RAISE EXCEPTION 'pack % % is refused: %', p_name, p_version, v_fault USING ERRCODE = '42501';
  END IF;
  UPDATE gk.pack k SET enabled = p_enabled WHERE k.name = p_name AND k.version = p_version;
END
$$;

CREATE OR REPLACE FUNCTION gk.packs()
RETURNS TABLE (name text, version text, digest text, role_name name, enabled boolean, fault text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT k.name, k.version, k.digest, k.role_name, k.enabled, gk.pack_fault(k.role_oid, k.role_name)
    FROM gk.pack k ORDER BY k.name, k.version
$$;

-- Notes which schemas are the application's. DBA only.
CREATE OR REPLACE FUNCTION gk.set_schemas(p_schemas name[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_bad text;
BEGIN
  SELECT string_agg(quote_ident(s), ', ') INTO v_bad FROM unnest(p_schemas) s
   WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_namespace n WHERE n.nspname = s);
  IF v_bad IS NOT NULL THEN
    RAISE EXCEPTION 'this database has no schema %', v_bad
      USING ERRCODE = '3F000', HINT = 'Name the schemas that hold the application''s tables.';
  END IF;
  DELETE FROM gk.app_schema;
  INSERT INTO gk.app_schema SELECT DISTINCT s FROM unnest(p_schemas) s;
END
$$;
