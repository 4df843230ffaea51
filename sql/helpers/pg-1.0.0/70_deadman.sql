-- 70_deadman.sql: CALL gk.deadman(..) goes on sweeping after the agent that called it has died.
--
-- A backend inside a CALL does not notice that its client is gone. The connection must have statement_timeout and
-- client_connection_check_interval at 0, else Postgres ends it all the same. What always holds: at most one per
-- database does the work, an error in one tick does not end it, and it leaves when nothing is left to watch.

-- One tick. `mine` is false while another deadman holds the watch; `live` sessions exist; `busy` ones want a quick next tick.
CREATE OR REPLACE FUNCTION gk.deadman_tick(OUT mine boolean, OUT live boolean, OUT busy boolean)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET client_min_messages = error AS $$
DECLARE
  v_soon timestamptz := gk.steady_clock() + interval '1 second';
BEGIN
  PERFORM pg_stat_clear_snapshot();
  IF pg_is_in_recovery() THEN
    mine := NOT gk.is_spare_deadman();
    IF mine THEN PERFORM FROM gk.sweep(100); END IF;
    SELECT count(*) > 0, false INTO live, busy FROM gk.fence f WHERE f.state <> 'closed';
    RETURN;
  END IF;
  UPDATE gk.watch w SET pid = pg_backend_pid(), beat_at = clock_timestamp()
   WHERE w.pid IS NULL OR w.pid = pg_backend_pid()
      OR clock_timestamp() NOT BETWEEN w.beat_at AND w.beat_at + interval '60 seconds'
      OR NOT EXISTS (SELECT FROM pg_catalog.pg_stat_activity a
                      WHERE a.pid = w.pid AND a.usesysid = 'gk_agent'::regrole AND a.datname = current_database());
  mine := FOUND;
  IF mine THEN
    PERFORM FROM gk.sweep(100);
  END IF;
  -- an end within the next second is waited for closely: nobody is connected a second after it
  SELECT count(*) > 0, count(*) FILTER (WHERE f.tries = 0 AND (f.state = 'disarmed'
                                                              OR (f.state = 'minted' AND f.ends_at <= v_soon))) > 0
    INTO live, busy FROM gk.fence f WHERE f.state <> 'closed';
END
$$;

CREATE OR REPLACE FUNCTION gk.deadman_leave() RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF NOT pg_is_in_recovery() THEN UPDATE gk.watch SET pid = NULL WHERE pid = pg_backend_pid(); END IF;
END
$$;

-- SECURITY INVOKER on purpose: a SECURITY DEFINER procedure may not COMMIT.
CREATE OR REPLACE PROCEDURE gk.deadman(p_every interval, p_idle_exit interval)
LANGUAGE plpgsql AS $$
DECLARE
  v_every  double precision := extract(epoch FROM p_every);
  v_idle   double precision := 0;  -- seconds without anything to watch
  v_pause  double precision;
  v_tick   record;
BEGIN
  IF v_every IS NULL OR v_every NOT BETWEEN 0.05 AND 60 OR p_idle_exit IS NULL OR p_idle_exit < interval '0' THEN
    RAISE EXCEPTION 'deadman: p_every must be 50 ms to 60 s, p_idle_exit not negative' USING ERRCODE = '22023';
  ELSIF pg_catalog.current_setting('statement_timeout') <> '0'
     OR pg_catalog.current_setting('client_connection_check_interval', true) <> '0' THEN
    RAISE EXCEPTION 'deadman: this connection would be ended by its own settings'
      USING ERRCODE = '55000', HINT = 'Send before the CALL: SET statement_timeout = 0; SET client_connection_check_interval = 0;';
  END IF;
  PERFORM pg_catalog.set_config('client_min_messages', 'error', false);  -- a message to a dead client ends the backend
  LOOP
    v_pause := v_every;
    BEGIN
      SELECT * INTO v_tick FROM gk.deadman_tick();
      IF NOT v_tick.mine THEN RETURN; END IF;
      v_idle := CASE WHEN v_tick.live THEN 0 ELSE v_idle + v_every END;
      IF v_tick.busy THEN v_pause := least(v_every, 0.2); END IF;
    EXCEPTION WHEN OTHERS THEN
      RAISE LOG 'gk.deadman: tick failed: % [%]', SQLERRM, SQLSTATE;
    END;
    COMMIT;
    IF v_idle > extract(epoch FROM p_idle_exit) THEN
      PERFORM gk.deadman_leave();
      RETURN;
    END IF;
    PERFORM pg_catalog.pg_sleep(v_pause);
    COMMIT;
  END LOOP;
END
$$;
