-- 50_sweep.sql: one tick that ends what is over, by the target's own catalog and clock, with nobody to ask.
--
-- Any number may run at once: each takes the rows that no other holds. What always holds: the cut comes before the
-- clearing up, fresh work before what has failed already, and one bad role never stops the others, even one that takes
-- until the statement is cancelled. A tick takes on nothing new after two seconds.

-- Ends one session whose time is over.
CREATE OR REPLACE FUNCTION gk.expire_row(f gk.fence) RETURNS TABLE (outcome text, detail text)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  v_out text;
  n     int := (SELECT count(*) FROM gk.backends(f.role_oid));
BEGIN
  IF EXISTS (SELECT FROM pg_catalog.pg_roles r WHERE r.oid = f.role_oid) THEN
    v_out := gk.disarm_row(f, f.gen);
  ELSE
    v_out := gk.disarm_missing(f, f.gen);
  END IF;
  RETURN QUERY SELECT v_out, coalesce((SELECT x.detail FROM gk.fence x WHERE x.session = f.session), '');
  n := greatest(n, gk.signal(f.role_oid));  -- those who are in now; who comes before the commit meets the next tick
  IF n > 0 THEN RETURN QUERY SELECT 'killed'::text, format('%s session(s)', n); END IF;
END
$$;

-- Goes on with one session that was disarmed by an earlier call.
CREATE OR REPLACE FUNCTION gk.finish_row(f gk.fence) RETURNS TABLE (outcome text, detail text)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  n int;
BEGIN
  IF f.state = 'blocked' OR EXISTS (SELECT FROM pg_catalog.pg_roles r WHERE r.oid = f.role_oid AND r.rolcanlogin) THEN
    RETURN QUERY SELECT * FROM gk.expire_row(f);
    RETURN;
  END IF;
  n := gk.signal(f.role_oid);
  IF n > 0 THEN
    UPDATE gk.fence x SET quiet_since = NULL WHERE x.session = f.session;
    RETURN QUERY SELECT 'killed'::text, format('%s session(s)', n);
  ELSIF NOT gk.awaits_standbys(f) THEN
    RETURN QUERY SELECT * FROM gk.reap_row(f) t WHERE t.outcome IN ('dropped', 'stuck', 'elsewhere');
  END IF;
END
$$;

-- A role with our mark but without a row (a restored database) is left alone until its own VALID UNTIL has passed.
CREATE OR REPLACE FUNCTION gk.adopt_overdue(p_limit int) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  r record;
BEGIN
  FOR r IN SELECT gk.session_of(p.rolname) AS session, p.rolname
             FROM pg_catalog.pg_roles p LEFT JOIN gk.fence f ON f.role_name = p.rolname AND f.state <> 'closed'
            WHERE p.rolvaliduntil <= clock_timestamp() AND length(p.rolname::text) = 29 AND p.rolname::text ~ '^gk_[0-9a-hjkmnp-tv-z]+$'
              AND f.session IS NULL AND gk.is_marked(p.oid)
            LIMIT p_limit
  LOOP
    INSERT INTO gk.fence AS x (session, gen, state, role_name, closed_at)
    VALUES (r.session, 0, 'closed', r.rolname, clock_timestamp()) ON CONFLICT (session) DO NOTHING;
    PERFORM gk.adopt(r.session);
  END LOOP;
END
$$;

-- Rows of sessions that ended long ago: a worker that late is past every lease.
CREATE OR REPLACE FUNCTION gk.forget(p_limit int) RETURNS void
LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
  DELETE FROM gk.fence WHERE session IN (
    SELECT f.session FROM gk.fence f
     WHERE f.state = 'closed' AND gk.setting_of('fence_keep_days') > 0
       AND f.closed_at < clock_timestamp() - make_interval(days => gk.setting_of('fence_keep_days'))
     ORDER BY f.closed_at LIMIT p_limit FOR UPDATE SKIP LOCKED)
$$;

-- What is due now, the most urgent first: expired ones, then disarmed ones, then those that failed before. NOT BETWEEN:
-- a clock that was set back must not put a try off for longer than a minute.
CREATE OR REPLACE FUNCTION gk.due(p_limit int) RETURNS SETOF gk.fence
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_now    timestamptz := clock_timestamp();
  v_steady timestamptz := gk.steady_clock();
BEGIN
  RETURN QUERY SELECT * FROM gk.fence f
    WHERE f.state = 'minted' AND (f.ends_at <= v_steady OR f.valid_until <= v_now)
      AND (f.next_try_at IS NULL OR f.next_try_at NOT BETWEEN v_now AND v_now + interval '60 seconds')
    ORDER BY f.ends_at LIMIT p_limit FOR UPDATE SKIP LOCKED;
  RETURN QUERY SELECT * FROM gk.fence f
    WHERE f.state IN ('blocked', 'disarmed', 'stuck')
      AND (f.next_try_at IS NULL OR f.next_try_at NOT BETWEEN v_now AND v_now + interval '60 seconds')
    ORDER BY f.tries > 0, coalesce(f.next_try_at, f.disarmed_at) LIMIT p_limit FOR UPDATE SKIP LOCKED;
END
$$;

-- One row per thing done: disarmed, blocked, killed, dropped, stuck, elsewhere, failed.
CREATE OR REPLACE FUNCTION gk.sweep(p_limit int) RETURNS TABLE (session text, outcome text, detail text)
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET lock_timeout = '500ms' SET client_min_messages = error AS $$
#variable_conflict use_column
DECLARE
  f       gk.fence;
  v_limit int := least(greatest(coalesce(p_limit, 50), 1), 1000);
  v_begin timestamptz := clock_timestamp();
BEGIN
  IF pg_is_in_recovery() THEN
    RETURN QUERY SELECT * FROM gk.sweep_standby();
    RETURN;
  END IF;
  PERFORM gk.tick();
  PERFORM gk.adopt_overdue(v_limit);
  FOR f IN SELECT * FROM gk.due(v_limit) LOOP
    EXIT WHEN clock_timestamp() NOT BETWEEN v_begin AND v_begin + interval '2 seconds';
    BEGIN
      IF f.state = 'minted' THEN
        RETURN QUERY SELECT f.session, t.outcome, t.detail FROM gk.expire_row(f) t;
      ELSE
        RETURN QUERY SELECT f.session, t.outcome, t.detail FROM gk.finish_row(f) t;
      END IF;
    EXCEPTION WHEN query_canceled OR OTHERS THEN
      UPDATE gk.fence x SET tries = x.tries + 1, detail = left(SQLERRM, 2000),
             next_try_at = clock_timestamp() + make_interval(secs => least(60, 2 ^ least(x.tries, 6)))
       WHERE x.session = f.session;
      RETURN QUERY SELECT f.session, 'failed'::text, format('%s [%s]', SQLERRM, SQLSTATE);
    END;
  END LOOP;
  PERFORM gk.clear_spares();
  PERFORM gk.forget(v_limit);
END
$$;
