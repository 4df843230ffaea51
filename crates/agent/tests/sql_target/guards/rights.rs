//! Who may call what, and what a call cannot be led astray by.

super::guards! {
    "the schema is nobody else's", [(
        "REVOKE ALL ON SCHEMA gk FROM PUBLIC;",
        "GRANT USAGE ON SCHEMA gk TO PUBLIC;"
    )], crate::attack::everybody_else_can_call_nothing;
    "a function made later is nobody else's", [(
        "ALTER DEFAULT PRIVILEGES FOR ROLE gk_owner REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;",
        ""
    )], crate::attack::everybody_else_can_call_nothing;
    "functions given away are taken back", [(
        "REVOKE ALL ON ALL FUNCTIONS IN SCHEMA gk FROM PUBLIC, gk_agent;",
        ""
    )], crate::attack::a_repeated_bootstrap_takes_back_what_was_given_away;
    "procedures given away are taken back", [(
        "REVOKE ALL ON ALL PROCEDURES IN SCHEMA gk FROM PUBLIC, gk_agent;",
        ""
    )], crate::attack::a_repeated_bootstrap_takes_back_what_was_given_away;
    "tables given away are taken back", [(
        "REVOKE ALL ON ALL TABLES IN SCHEMA gk FROM PUBLIC, gk_agent;",
        ""
    )], crate::attack::a_repeated_bootstrap_takes_back_what_was_given_away;
    "the agent inherits nothing", [(
        "CREATE ROLE gk_agent LOGIN NOINHERIT CONNECTION LIMIT 100;",
        "CREATE ROLE gk_agent LOGIN NOINHERIT CONNECTION LIMIT 100; GRANT gk_owner TO gk_agent;"
    ), (
        "          AND (r.rolinherit OR r.rolsuper OR r.rolreplication OR r.rolbypassrls OR r.rolcreaterole OR r.rolcreatedb
               OR EXISTS (SELECT FROM pg_auth_members m WHERE m.member = r.oid)));",
        "          AND r.rolsuper);"
    )], crate::attack::the_agents_login_can_do_nothing_but_call_the_helpers;
    "a role that looks otherwise stops the bootstrap", [(
        "  IF v_bad IS NOT NULL THEN
    RAISE EXCEPTION 'these roles exist already",
        "  IF false THEN
    RAISE EXCEPTION 'these roles exist already"
    )], crate::bootstrap::surroundings_that_are_not_safe_are_refused;
    "a schema of somebody else stops the bootstrap", [(
        "ELSIF v_owner <> 'gk_owner' THEN",
        "ELSIF false THEN"
    )], crate::bootstrap::surroundings_that_are_not_safe_are_refused;
    "the bootstrap is blind to what was planted", [(
        "SET LOCAL search_path = pg_catalog, pg_temp;",
        ""
    )], crate::bootstrap::what_was_planted_before_the_bootstrap_gains_nothing;
    "gk.mint finds its names where they are", [(
        "LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '3s' AS $$
#variable_conflict use_column
DECLARE
  w     gk.fence;",
        "LANGUAGE plpgsql SECURITY DEFINER SET lock_timeout = '3s' AS $$
#variable_conflict use_column
DECLARE
  w     gk.fence;"
    )], crate::attack::everybody_else_can_call_nothing;
    "a small function finds its names where they are", [(
        "LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$ BEGIN RETURN (SELECT s.value FROM gk.setting s",
        "LANGUAGE plpgsql STABLE
AS $$ BEGIN RETURN (SELECT s.value FROM gk.setting s"
    )], crate::attack::everybody_else_can_call_nothing;
    "the verifier is checked by the server's own operators", [(
        "CREATE OR REPLACE FUNCTION gk.check_verifier(p_verifier text) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$",
        "CREATE OR REPLACE FUNCTION gk.check_verifier(p_verifier text) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_temp, gk, public, pg_catalog AS $$"
    )], crate::attack::everybody_else_can_call_nothing;
    "an error says nothing of the verifier", [(
        "    RAISE EXCEPTION 'could not create role %', f.role_name
      USING ERRCODE = CASE SQLSTATE WHEN 'XX000' THEN '40001' ELSE SQLSTATE END;",
        "    RAISE EXCEPTION 'could not create role % with %', f.role_name, p_verifier
      USING ERRCODE = CASE SQLSTATE WHEN 'XX000' THEN '40001' ELSE SQLSTATE END;"
    )], crate::attack::an_error_of_the_server_carries_no_verifier;
    "deadman: p_every must be 50 ms to 60 s", [(
        "IF v_every IS NULL OR v_every NOT BETWEEN 0.05 AND 60 OR p_idle_exit IS NULL OR p_idle_exit < interval '0' THEN",
        "IF false THEN"
    )], crate::attack::the_agents_login_can_do_nothing_but_call_the_helpers;
    "deadman: this connection would be ended by its own settings", [(
        "ELSIF pg_catalog.current_setting('statement_timeout') <> '0'
     OR pg_catalog.current_setting('client_connection_check_interval', true) <> '0' THEN",
        "ELSIF false THEN"
    )], crate::deadman::a_deadman_that_its_own_settings_would_end_says_so;
    "one deadman watches", [(
        "   WHERE w.pid IS NULL OR w.pid = pg_backend_pid()",
        "   WHERE true"
    )], crate::deadman::a_second_deadman_leaves_at_once_and_an_idle_one_too;
}
