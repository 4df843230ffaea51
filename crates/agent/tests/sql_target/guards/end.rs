//! What an end rests on, and what it must not touch.

super::guards! {
    "an end takes the login away", [(
        "ALTER ROLE %I NOLOGIN CONNECTION LIMIT 0 PASSWORD NULL VALID UNTIL %L',",
        "ALTER ROLE %I CONNECTION LIMIT -1 VALID UNTIL ''infinity'' -- %L',"
    )], crate::life::a_session_reads_is_refused_a_write_and_is_gone;
    "a locked role holds up no end", [(
        "CREATE OR REPLACE FUNCTION gk.shut(p_oid oid, p_tries int) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET lock_timeout = '250ms'",
        "CREATE OR REPLACE FUNCTION gk.shut(p_oid oid, p_tries int) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET lock_timeout = 0"
    )], crate::fight::a_locked_row_of_his_own_role_does_not_keep_him_in;
    "a role that is lent loses its rights", [(
        "  IF NOT v_shut OR gk.is_shared(f.role_oid) OR EXISTS (SELECT FROM gk.backends(f.role_oid)) THEN
    PERFORM gk.strip(f);
  END IF;",
        ""
    )], crate::fight::a_friend_who_shares_the_role_loses_its_rights_with_it;
    "a role that has to stay loses its rights", [(
        "  ELSIF v_out IN ('stuck', 'elsewhere') THEN
    PERFORM gk.strip(f);",
        "  ELSIF v_out IN ('stuck', 'elsewhere') THEN"
    )], crate::fight::a_role_that_has_to_stay_keeps_no_right;
    "an end of nothing is given no number", [(
        "IF p_gen IS NULL OR p_gen < 1 THEN RAISE EXCEPTION 'p_gen must be 1 or more' USING ERRCODE = '22023'; END IF;",
        ""
    )], crate::attack::the_agents_login_can_do_nothing_but_call_the_helpers;
    "an end that comes too late", [(
        "IF f.state = 'minted' AND p_gen < f.gen THEN",
        "IF false THEN"
    )], crate::fence::a_stale_generation_changes_nothing;
    "an end before the mint stands", [(
        "VALUES (p_session, p_gen, 'closed', v_role, clock_timestamp(), clock_timestamp(), 'ended before it was minted')
  ON CONFLICT (session) DO NOTHING; ",
        "SELECT p_session, p_gen, 'closed', v_role, clock_timestamp(), clock_timestamp(), 'x' WHERE false
  ON CONFLICT (session) DO NOTHING; "
    )], crate::fence::a_mint_after_its_end_is_refused_for_ever;
    "role % was replaced outside Gatekeeper and is not touched", [(
        "IF to_regrole(f.role_name::text) IS NOT NULL THEN",
        "IF false THEN"
    )], crate::foreign::a_role_made_anew_under_a_minted_name_is_not_touched;
    "sessions of a role that is gone are cut", [(
        "IF gk.signal(f.role_oid) > 0 THEN  -- the role is gone, sessions of it go on",
        "IF false THEN"
    )], crate::foreign::a_role_dropped_under_its_sessions_is_not_called_gone;
    "only a role with our mark is adopted", [(
        "IF v_oid IS NULL OR NOT gk.is_marked(v_oid) THEN RETURN false; END IF;",
        "IF v_oid IS NULL THEN RETURN false; END IF;"
    )], crate::foreign::a_role_that_somebody_else_made_is_never_adopted;
    "the mark names session and database", [(
        "AND shobj_description(r.oid, 'pg_authid') = gk.marker(gk.session_of(r.rolname), d.datname))",
        ")"
    )], crate::foreign::a_role_that_somebody_else_made_is_never_adopted;
    "a mark of another database is another's", [(
        "ON p_any OR d.datname = current_database()",
        "ON true"
    )], crate::foreign::a_role_of_another_database_is_that_databases_business;
    "% is not a minted role", [(
        "IF NOT FOUND THEN
    RAISE EXCEPTION '% is not a minted role', v_role USING ERRCODE = '42501', HINT = 'gk.disarm comes first.';
  ELSIF f.state = 'minted' THEN",
        "IF f.state = 'minted' THEN"
    )], crate::attack::the_agents_login_can_do_nothing_but_call_the_helpers;
    "reap and quiet are for what was minted", [(
        "IF NOT FOUND THEN
    RAISE EXCEPTION '% is not a minted role', v_role USING ERRCODE = '42501', HINT = 'gk.disarm comes first.';
  ELSIF f.state IN ('minted', 'blocked') THEN",
        "IF f.state IN ('minted', 'blocked') THEN"
    )], crate::attack::the_agents_login_can_do_nothing_but_call_the_helpers;
    "extend is for what was minted", [(
        "IF NOT FOUND THEN
    RAISE EXCEPTION '% is not a minted role', v_role USING ERRCODE = '42501', HINT = 'gk.mint comes first.';
  END IF;",
        ""
    )], crate::attack::the_agents_login_can_do_nothing_but_call_the_helpers;
    "session % is not disarmed", [(
        "ELSIF f.state = 'minted' THEN
    RAISE EXCEPTION 'session % is not disarmed'",
        "ELSIF false THEN
    RAISE EXCEPTION 'session % is not disarmed'"
    )], crate::attack::the_agents_login_can_do_nothing_but_call_the_helpers;
    "reap and quiet come after disarm", [(
        "ELSIF f.state IN ('minted', 'blocked') THEN",
        "ELSIF false THEN"
    )], crate::attack::the_agents_login_can_do_nothing_but_call_the_helpers;
    "% is not a disarmed minted role", [(
        "IF NOT gk.is_marked(v_oid, true)
     OR EXISTS",
        "IF EXISTS"
    )], crate::attack::the_agents_login_can_do_nothing_but_call_the_helpers;
    "clean_here comes after disarm", [(
        "     OR EXISTS (SELECT FROM pg_catalog.pg_roles r WHERE r.oid = v_oid AND (r.rolcanlogin OR r.rolconnlimit <> 0)) THEN",
        "THEN"
    )], crate::attack::the_agents_login_can_do_nothing_but_call_the_helpers;
    "a role is dropped after two quiet looks", [(
        "ELSIF clock_timestamp() < f.quiet_since + v_settle THEN",
        "ELSIF false THEN"
    )], crate::life::a_role_is_dropped_only_after_two_quiet_looks;
    "a role is dropped after its disarm was committed", [(
        "ELSIF f.disarmed_xid IS NOT DISTINCT FROM pg_current_xact_id_if_assigned() THEN",
        "ELSIF false THEN"
    )], crate::life::disarm_kill_and_drop_in_one_transaction_do_not_drop;
    "a role that is in use is not dropped", [(
        "IF n > 0 THEN
    UPDATE gk.fence x SET quiet_since = NULL WHERE x.session = f.session;
    outcome := 'busy'",
        "IF false THEN
    UPDATE gk.fence x SET quiet_since = NULL WHERE x.session = f.session;
    outcome := 'busy'"
    )], crate::life::a_role_in_use_is_busy;
    "a renamed role is not dropped", [(
        "WHEN r.rolname <> f.role_name
        THEN format('it was renamed",
        "WHEN false
        THEN format('it was renamed"
    )], crate::foreign::a_renamed_role_is_still_cut_but_not_dropped;
    "a prepared transaction is told", [(
        "WHEN gk.prepared_by(f.role_oid) IS NOT NULL
",
        "WHEN false
"
    )], crate::fight::a_prepared_transaction_is_told_with_its_mend;
    "what a user owned goes to the heir", [(
        "EXECUTE format('REASSIGN OWNED BY %I TO gk_heir', p_role);",
        ""
    )], crate::fight::objects_in_two_databases_are_kept_and_go_to_the_heir;
    "what is left elsewhere is told", [(
        "    FROM gk.left_elsewhere(f.role_oid) e;
  IF v_msg IS NOT NULL THEN",
        "    FROM gk.left_elsewhere(f.role_oid) e;
  IF false THEN"
    )], crate::fight::objects_in_two_databases_are_kept_and_go_to_the_heir;
    "a role without a row waits for its own end", [(
        "WHERE p.rolvaliduntil <= clock_timestamp() AND length(p.rolname",
        "WHERE length(p.rolname"
    )], crate::foreign::a_role_found_without_a_row_is_ended_after_its_own_expiry;
    "the sweep takes what is over by either clock", [(
        "WHERE f.state = 'minted' AND (f.ends_at <= v_steady OR f.valid_until <= v_now)",
        "WHERE f.state = 'minted' AND (f.valid_until <= v_now)"
    )], crate::sweep::a_clock_that_was_set_back_lengthens_no_session;
    "a young tombstone is kept", [(
        "       AND f.closed_at < clock_timestamp() - make_interval(days => gk.setting_of('fence_keep_days'))
",
        ""
    )], crate::sweep::old_tombstones_are_forgotten_and_young_ones_kept;
    "nobody waits for a lock for ever: disarm", [(
        "CREATE OR REPLACE FUNCTION gk.disarm(p_session text, p_gen bigint) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '3s' AS $$",
        "CREATE OR REPLACE FUNCTION gk.disarm(p_session text, p_gen bigint) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$"
    )], crate::fence::a_lock_that_is_held_holds_nobody_for_long;
    "nobody waits for a lock for ever: reap", [(
        "CREATE OR REPLACE FUNCTION gk.reap(p_session text) RETURNS TABLE (outcome text, detail text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '2s' AS $$",
        "CREATE OR REPLACE FUNCTION gk.reap(p_session text) RETURNS TABLE (outcome text, detail text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$"
    )], crate::fence::a_lock_that_is_held_holds_nobody_for_long;
}
