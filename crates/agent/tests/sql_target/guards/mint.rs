//! What a worker that is late, repeated or mistaken runs into when it makes or lengthens a session.

super::guards! {
    "not a session id", [(
        "IF p_session IS NULL OR length(p_session) <> 31 OR p_session !~ '^sess_[0-9A-HJKMNP-TV-Z]+$' THEN",
        "IF p_session IS NULL OR length(p_session) <> 31 THEN"
    )], crate::fence::bad_input_is_refused_before_anything_is_made;
    "the length of a session id", [(
        "p_session IS NULL OR length(p_session) <> 31 OR",
        "p_session IS NULL OR"
    )], crate::fence::bad_input_is_refused_before_anything_is_made;
    "a SCRAM-SHA-256 verifier is required", [(
        "IF p_verifier IS NULL
     OR p_verifier !~ '^SCRAM-SHA-256[$][1-9][0-9]*:[A-Za-z0-9+/]+=*[$][A-Za-z0-9+/]+=:[A-Za-z0-9+/]+=$'
     OR length",
        "IF length"
    )], crate::fence::bad_input_is_refused_before_anything_is_made;
    "the digits of a verifier's rounds", [(
        "OR length(v_rounds) > 5 OR",
        "OR"
    )], crate::fence::bad_input_is_refused_before_anything_is_made;
    "the least and the most of a verifier's salt", [(
        "length(rtrim(v_salt, '=')) NOT BETWEEN 22 AND 86",
        "false"
    )], crate::fence::bad_input_is_refused_before_anything_is_made;
    "the filling of a verifier's salt", [(
        "length(v_salt) - length(rtrim(v_salt, '=')) > 2",
        "false"
    )], crate::fence::bad_input_is_refused_before_anything_is_made;
    "the length of a verifier's keys", [(
        "length(v_keys) <> 89",
        "false"
    )], crate::fence::bad_input_is_refused_before_anything_is_made;
    "the length of each of a verifier's keys", [(
        "position(':' IN v_keys) <> 45",
        "false"
    )], crate::fence::bad_input_is_refused_before_anything_is_made;
    "the verifier''s iteration count is not between % and 20000", [(
        "::int NOT BETWEEN v_least AND 20000 THEN",
        "::int NOT BETWEEN 0 AND 2000000000 THEN"
    )], crate::fence::bad_input_is_refused_before_anything_is_made;
    "p_not_after is required", [(
        "IF p_not_after IS NULL THEN",
        "IF false THEN"
    )], crate::attack::the_agents_login_can_do_nothing_but_call_the_helpers;
    "the caller''s lease is over", [(
        "ELSIF clock_timestamp() >= p_not_after THEN",
        "ELSIF false THEN"
    )], crate::fence::a_mint_past_its_lease_leaves_nothing;
    "a lease that ran out while a secret was set", [(
        "w.verifier_sha WHERE x.session = f.session;
  PERFORM gk.check_lease(p_not_after);",
        "w.verifier_sha WHERE x.session = f.session;"
    )], crate::fence::a_lease_that_runs_out_on_the_way_undoes_the_work;
    "a lease that ran out while a role was made", [(
        "  PERFORM gk.check_lease(p_not_after);                    -- waiting for locks takes time too",
        ""
    )], crate::fence::a_lease_that_runs_out_on_the_way_undoes_the_work;
    "ttl is not between 0 and % seconds", [(
        "IF p_ttl > interval '0' AND p_ttl <= p_max THEN",
        "IF true THEN"
    ), (
        "OR v_ttl <= interval '0' OR v_ttl > p_max THEN",
        "THEN"
    )], crate::fence::bad_input_is_refused_before_anything_is_made;
    "the login ends by itself", [(
        "v_limits := format('CONNECTION LIMIT %s VALID UNTIL %L', f.conn_limit, gk.stamp(f.valid_until));",
        "v_limits := format('CONNECTION LIMIT %s', f.conn_limit);"
    )], crate::sweep::an_expired_login_is_refused_with_nobody_acting;
    "a role named % exists already, and Gatekeeper did not make it", [(
        "  WHEN duplicate_object THEN
    RAISE EXCEPTION 'a role named % exists already, and Gatekeeper did not make it', f.role_name",
        "  WHEN duplicate_object THEN
    RETURN to_regrole(f.role_name::text)::oid;
    RAISE EXCEPTION 'a role named % exists already, and Gatekeeper did not make it', f.role_name"
    )], crate::foreign::a_role_that_somebody_else_made_is_never_adopted;
    "session % has ended; it is never minted again", [(
        "IF f.state <> 'minted' THEN
    RAISE EXCEPTION 'session % has ended",
        "IF false THEN
    RAISE EXCEPTION 'session % has ended"
    )], crate::fence::a_mint_after_its_end_is_refused_for_ever;
    "generation % of session % is stale", [(
        "ELSIF p_gen < f.gen THEN",
        "ELSIF false THEN"
    )], crate::fence::a_stale_generation_changes_nothing;
    "session % has expired", [(
        "ELSIF f.ends_at <= gk.steady_clock() OR f.valid_until <= clock_timestamp() THEN",
        "ELSIF false THEN"
    )], crate::fence::an_expired_session_gets_neither_secret_nor_time;
    "role % was dropped, renamed or replaced outside Gatekeeper", [(
        "ELSIF NOT EXISTS (SELECT FROM pg_catalog.pg_roles r WHERE r.oid = f.role_oid AND r.rolname = f.role_name) THEN",
        "ELSIF false THEN"
    )], crate::foreign::a_role_made_anew_under_a_minted_name_is_not_touched;
    "session % was minted with other parameters", [(
        "PERFORM gk.check_same(f, w);",
        ""
    )], crate::fence::other_parameters_are_refused;
    "a repeated mint is held against the fence", [(
        "  PERFORM gk.check_alive(f, w.gen);
  PERFORM gk.check_same(f, w);",
        "  PERFORM gk.check_same(f, w);"
    )], crate::fence::a_stale_generation_changes_nothing;
    "p_gen must be 1 or more", [(
        "  IF p_gen IS NULL OR p_gen < 1 THEN
    RAISE EXCEPTION",
        "  IF false THEN
    RAISE EXCEPTION"
    )], crate::fence::bad_input_is_refused_before_anything_is_made;
    "p_subject must have 1 to 200 characters", [(
        "ELSIF p_subject IS NULL OR length(p_subject) NOT BETWEEN 1 AND 200 THEN",
        "ELSIF false THEN"
    )], crate::fence::bad_input_is_refused_before_anything_is_made;
    "connection limit is not between 1 and", [(
        "IF p_conn_limit NOT BETWEEN 1 AND pk.conn_limit THEN",
        "IF false THEN"
    )], crate::life::the_connection_limit_holds_and_never_exceeds_the_packs;
    "pack % % has % live sessions on this target", [(
        "  RETURN v_live > pk.max_live;",
        "  RETURN false;"
    )], crate::fence::the_limit_of_live_sessions_holds_but_not_for_repeats;
    "nobody waits for a lock for ever: mint", [(
        "LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '3s' AS $$
#variable_conflict use_column
DECLARE
  w     gk.fence;",
        "LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  w     gk.fence;"
    )], crate::fence::a_lock_that_is_held_holds_nobody_for_long;
    "nobody waits for a lock for ever: extend", [(
        "LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '3s' AS $$
#variable_conflict use_column
DECLARE
  v_role name := gk.role_of(p_session);
  v_max  interval;",
        "LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  v_role name := gk.role_of(p_session);
  v_max  interval;"
    )], crate::fence::a_lock_that_is_held_holds_nobody_for_long;
    "an extension is held against the fence", [(
        "  PERFORM gk.check_alive(f, p_gen);
  PERFORM gk.check_lease(p_not_after);",
        "  PERFORM gk.check_lease(p_not_after);"
    )], crate::life::a_session_gets_longer_by_extension_alone;
    "p_gen and a finite p_valid_until are required", [(
        "IF p_gen IS NULL OR p_valid_until IS NULL OR NOT isfinite(p_valid_until) THEN",
        "IF false THEN"
    ), (
        "IF p_valid_until - f.minted_at > v_max THEN",
        "IF false THEN"
    )], crate::attack::the_agents_login_can_do_nothing_but_call_the_helpers;
    "session % may last % seconds in all", [(
        "IF p_valid_until - f.minted_at > v_max THEN",
        "IF false THEN"
    )], crate::life::a_session_gets_longer_by_extension_alone;
    "an extension never shortens", [(
        "IF p_valid_until <= f.valid_until THEN",
        "IF false THEN"
    )], crate::life::a_session_gets_longer_by_extension_alone;
    "a clock that goes back lengthens nothing", [(
        "SELECT greatest(c.max_seen, clock_timestamp() + c.ahead) FROM gk.clock_mark c",
        "SELECT clock_timestamp() FROM gk.clock_mark c"
    )], crate::sweep::a_clock_that_was_set_back_lengthens_no_session;
    "a clock that went back is made up for", [(
        "ahead = greatest(c.ahead, c.max_seen - v_now),",
        "ahead = c.ahead,"
    ), (
        "SELECT greatest(c.max_seen, clock_timestamp() + c.ahead)",
        "SELECT (clock_timestamp() + c.ahead)"
    )], crate::sweep::a_clock_that_was_set_back_lengthens_no_session;
}
