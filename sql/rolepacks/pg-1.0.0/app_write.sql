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
-- Run by the bootstrap as the owner of the tables (or a superuser), with gk.pack_role set to the pack's role and
-- gk.schemas to a list such as {public,app}. Repeatable: run it again to reach tables of other owners made since.
-- Once released a pack is never edited: a change is a new version.
DO $pack$
DECLARE
  v_role   name   := current_setting('gk.pack_role');
  v_schema name;
BEGIN
  FOREACH v_schema IN ARRAY current_setting('gk.schemas')::name[] LOOP
    EXECUTE format('GRANT USAGE ON SCHEMA %I TO %I', v_schema, v_role);
    EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA %I TO %I', v_schema, v_role);
    EXECUTE format('GRANT USAGE ON ALL SEQUENCES IN SCHEMA %I TO %I', v_schema, v_role);
    EXECUTE format('ALTER DEFAULT PRIVILEGES IN SCHEMA %I GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO %I', v_schema, v_role);
    EXECUTE format('ALTER DEFAULT PRIVILEGES IN SCHEMA %I GRANT USAGE ON SEQUENCES TO %I', v_schema, v_role);
  END LOOP;
END
$pack$;
