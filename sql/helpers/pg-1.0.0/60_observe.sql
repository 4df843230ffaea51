-- 60_observe.sql: what the target sees, for the reconcile loop and for people. Reads only; works on a standby too.

-- Every session that is not closed, and every role of our pattern that no such session claims.
--   state 'replaced': the role of that name is another than the one that was minted
--   state 'orphan': a role of our pattern without a row here; `detail` says whether it carries our mark
CREATE OR REPLACE FUNCTION gk.observe()
RETURNS TABLE (session text, role_name name, gen bigint, state text, armed boolean, role_exists boolean,
               valid_until timestamptz, backends bigint, disarmed_at timestamptz, detail text,
               pack text, pack_version text, observed_at timestamptz)
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  WITH activity AS MATERIALIZED (
    SELECT a.usesysid, count(*) AS n FROM pg_catalog.pg_stat_activity a
     WHERE a.usesysid IS NOT NULL AND a.pid <> pg_backend_pid() GROUP BY 1
  ), stray AS MATERIALIZED (  -- few, so that the dear question about each is asked of few
    SELECT p.oid, p.rolname, p.rolcanlogin, p.rolvaliduntil FROM pg_catalog.pg_roles p
     WHERE length(p.rolname::text) = 29 AND p.rolname::text ~ '^gk_[0-9a-hjkmnp-tv-z]+$'
       AND NOT EXISTS (SELECT FROM gk.fence f WHERE f.role_name = p.rolname AND f.state <> 'closed')
  ), seen AS (
    SELECT f.session, coalesce(r.rolname, f.role_name) AS role_name, f.gen,
           CASE WHEN r.oid IS NULL AND s.oid IS NOT NULL THEN 'replaced' ELSE f.state END AS state,
           coalesce(r.rolcanlogin, false) AS armed, r.oid IS NOT NULL AS role_exists,
           f.valid_until, coalesce(a.n, 0) AS backends, f.disarmed_at,
           CASE WHEN r.oid IS NULL AND s.oid IS NOT NULL THEN 'a role of this name was made outside Gatekeeper'
                WHEN r.oid IS NULL THEN 'the role was dropped outside Gatekeeper'
                WHEN r.rolname <> f.role_name THEN 'the role was renamed outside Gatekeeper'
                ELSE f.detail END AS detail,
           f.pack, f.pack_version
      FROM gk.fence f
      LEFT JOIN pg_catalog.pg_roles r ON r.oid = f.role_oid
      LEFT JOIN pg_catalog.pg_roles s ON s.rolname = f.role_name AND s.oid IS DISTINCT FROM f.role_oid
      LEFT JOIN activity a ON a.usesysid = f.role_oid
     WHERE f.state <> 'closed'
    UNION ALL
    SELECT gk.session_of(p.rolname), p.rolname, NULL, 'orphan', p.rolcanlogin, true,
           p.rolvaliduntil, coalesce(a.n, 0), NULL,
           CASE WHEN gk.is_marked(p.oid) THEN 'minted here, but there is no row for it'
                ELSE 'has no mark of Gatekeeper: somebody else made it' END,
           NULL, NULL
      FROM stray p LEFT JOIN activity a ON a.usesysid = p.oid
       -- another database's session is that database's business
     WHERE (gk.is_marked(p.oid) OR NOT gk.is_marked(p.oid, true))
  )
  SELECT s.*, clock_timestamp() FROM seen s ORDER BY s.session
$$;

-- Sessions whose role no longer exists. Ours are ended (where pg_signal_backend was given), others only shown.
CREATE OR REPLACE FUNCTION gk.zombies() RETURNS TABLE (pid int, usesysid oid, session text, signalled boolean)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET client_min_messages = error AS $$
#variable_conflict use_column
DECLARE
  v_may boolean := pg_has_role('gk_owner', 'pg_signal_backend', 'USAGE');
BEGIN
  PERFORM pg_stat_clear_snapshot();
  RETURN QUERY
    SELECT a.pid, a.usesysid, f.session,
           CASE WHEN v_may AND f.session IS NOT NULL THEN pg_terminate_backend(a.pid) ELSE false END
      FROM pg_catalog.pg_stat_activity a LEFT JOIN gk.fence f ON f.role_oid = a.usesysid
     WHERE a.usesysid IS NOT NULL AND a.usesysid <> 0
       AND NOT EXISTS (SELECT FROM pg_catalog.pg_roles r WHERE r.oid = a.usesysid);
END
$$;
