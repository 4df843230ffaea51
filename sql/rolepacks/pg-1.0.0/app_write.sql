-- name:       app_write
-- version:    pg-1.0.0
-- summary:    read and change the rows of the application's schemas, no structure
-- max_ttl:    1 hour
-- conn_limit: 3
-- max_live:   200
-- touches:    USAGE on each schema of gk.schemas; SELECT, INSERT, UPDATE and DELETE on its tables and views; USAGE
--             on its sequences; the same for what the role which runs this makes there later. Nothing else: no
--             TRUNCATE, no REFERENCES, no TRIGGER, no CREATE.
--
-- Run by the bootstrap with gk.pack_role set to the pack's role and gk.schemas to a list such as {public,app}. It grants
-- what the role that runs it owns (a superuser: everything); gk.doctor() prints the grants that other owners have to
-- make. Repeatable: run it again to reach tables made since.
-- Once released a pack is never edited: a change is a new version.
DO $pack$
DECLARE
  v_role   name := current_setting('gk.pack_role');
  v_schema name;
  v_object regclass;
BEGIN
  FOREACH v_schema IN ARRAY current_setting('gk.schemas')::name[] LOOP
    IF pg_has_role(current_user, (SELECT n.nspowner FROM pg_namespace n WHERE n.nspname = v_schema), 'USAGE') THEN
      EXECUTE format('GRANT USAGE ON SCHEMA %I TO %I', v_schema, v_role);
    END IF;
    FOR v_object IN
      SELECT c.oid::regclass FROM pg_class c
       WHERE c.relnamespace = to_regnamespace(quote_ident(v_schema)) AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
         AND pg_has_role(current_user, c.relowner, 'USAGE')
    LOOP
      EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %s TO %I', v_object, v_role);
    END LOOP;
    FOR v_object IN
      SELECT c.oid::regclass FROM pg_class c
       WHERE c.relnamespace = to_regnamespace(quote_ident(v_schema)) AND c.relkind = 'S'
         AND pg_has_role(current_user, c.relowner, 'USAGE')
    LOOP
      EXECUTE format('GRANT USAGE ON SEQUENCE %s TO %I', v_object, v_role);
    END LOOP;
    EXECUTE format('ALTER DEFAULT PRIVILEGES IN SCHEMA %I GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO %I', v_schema, v_role);
    EXECUTE format('ALTER DEFAULT PRIVILEGES IN SCHEMA %I GRANT USAGE ON SEQUENCES TO %I', v_schema, v_role);
  END LOOP;
END
$pack$;
