-- 90_grants.sql: the agent's whole world. Everything else in schema gk is gk_owner's alone.

SET LOCAL client_min_messages = error;  -- the makers' functions are not gk_owner's, and nobody's but his already
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA gk FROM PUBLIC, gk_agent;
REVOKE ALL ON ALL PROCEDURES IN SCHEMA gk FROM PUBLIC, gk_agent;
REVOKE ALL ON ALL TABLES IN SCHEMA gk FROM PUBLIC, gk_agent;
REVOKE ALL ON ALL SEQUENCES IN SCHEMA gk FROM PUBLIC, gk_agent;
SET LOCAL client_min_messages = warning;

GRANT EXECUTE ON FUNCTION
  gk.version(), gk.clock(), gk.packs(), gk.observe(), gk.zombies(), gk.doctor(), gk.min_iterations(),
  gk.mint(text, bigint, text, text, text, text, text, interval, timestamptz, int), gk.stock(text),
  gk.extend(text, bigint, timestamptz, timestamptz),
  gk.disarm(text, bigint), gk.kill(text), gk.reap(text), gk.clean_here(text), gk.sweep(int),
  gk.cut(text), gk.quiet(text),
  gk.deadman_tick(), gk.deadman_leave()
  TO gk_agent;
GRANT EXECUTE ON PROCEDURE gk.deadman(interval, interval) TO gk_agent;

-- Back to who runs the bootstrap: RESET would forget a SET ROLE that came before it.
DO $gk$ BEGIN EXECUTE format('SET LOCAL ROLE %I', current_setting('gk.dba')); END $gk$;
