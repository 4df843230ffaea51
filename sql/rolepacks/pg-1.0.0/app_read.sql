-- name:       app_read
-- version:    pg-1.0.0
-- summary:    read every table and view of the application's schemas, change nothing
-- max_ttl:    4 hours
-- conn_limit: 3
-- max_live:   200
-- touches:    USAGE on each schema of gk.schemas; SELECT on its tables, views, materialized views and foreign
--             tables; the same for tables that the role which runs this makes there later. Nothing else.
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
    EXECUTE format('GRANT SELECT ON ALL TABLES IN SCHEMA %I TO %I', v_schema, v_role);
    EXECUTE format('ALTER DEFAULT PRIVILEGES IN SCHEMA %I GRANT SELECT ON TABLES TO %I', v_schema, v_role);
  END LOOP;
END
$pack$;
