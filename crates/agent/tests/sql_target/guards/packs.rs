//! What a session may be a member of.

super::guards! {
    "bad pack name", [(
        "IF p_name IS NULL OR p_name !~ '^[a-z][a-z0-9_]{0,30}$' THEN",
        "IF false THEN"
    )], crate::packs::a_released_pack_is_never_edited;
    "a released pack is never edited", [(
        "IF pk.digest <> p_digest THEN",
        "IF false THEN"
    )], crate::packs::a_released_pack_is_never_edited;
    "the pack is not registered or not enabled on this target", [(
        "AND k.version = p_version AND k.enabled;",
        "AND k.version = p_version;"
    )], crate::packs::a_pack_that_is_unknown_disabled_or_of_another_digest_is_refused;
    "pack % % is registered here with another digest", [(
        "IF pk.digest IS DISTINCT FROM p_digest THEN",
        "IF false THEN"
    )], crate::packs::a_pack_that_is_unknown_disabled_or_of_another_digest_is_refused;
    "pack % % is refused", [(
        "  IF v_fault IS NOT NULL THEN
    RAISE EXCEPTION 'pack % % is refused: %', pk.name, pk.version, v_fault",
        "  IF false THEN
    RAISE EXCEPTION 'pack % % is refused: %', pk.name, pk.version, v_fault"
    )], crate::packs::a_pack_that_reaches_power_is_refused;
    "a pack that reaches power is not enabled", [(
        "IF p_enabled AND v_fault IS NOT NULL THEN",
        "IF false THEN"
    )], crate::packs::a_pack_that_reaches_power_is_refused;
    "power is found over any number of steps", [(
        "JOIN up ON m.member = up.oid",
        "JOIN up ON false"
    )], crate::packs::a_pack_that_reaches_power_is_refused;
    "a login is power", [(
        "OR r.rolcanlogin OR r.oid < 16384 OR r.rolname IN ('gk_owner', 'gk_heir', 'gk_agent')
             ORDER BY",
        "OR r.oid < 16384 OR r.rolname IN ('gk_owner', 'gk_heir', 'gk_agent')
             ORDER BY"
    )], crate::packs::a_pack_that_reaches_power_is_refused;
    "Postgres' own roles are power", [(
        "OR r.rolcanlogin OR r.oid < 16384 OR r.rolname IN ('gk_owner', 'gk_heir', 'gk_agent')
             ORDER BY",
        "OR r.rolcanlogin OR r.rolname IN ('gk_owner', 'gk_heir', 'gk_agent')
             ORDER BY"
    )], crate::packs::a_pack_that_reaches_power_is_refused;
    "Gatekeeper's own roles are power", [(
        "OR r.rolcanlogin OR r.oid < 16384 OR r.rolname IN ('gk_owner', 'gk_heir', 'gk_agent')
             ORDER BY",
        "OR r.rolcanlogin OR r.oid < 16384
             ORDER BY"
    )], crate::packs::a_pack_that_reaches_power_is_refused;
    "the short look sees a login", [(
        "OR r.rolcanlogin OR r.oid < 16384 OR r.rolname IN ('gk_owner', 'gk_heir', 'gk_agent'))) THEN",
        "OR r.oid < 16384)) THEN"
    )], crate::packs::a_pack_that_reaches_power_is_refused;
    "the short look sees attributes", [(
        "AND NOT (r.rolsuper OR r.rolcreaterole OR r.rolcreatedb OR r.rolreplication OR r.rolbypassrls",
        "AND NOT (r.rolsuper"
    )], crate::packs::a_pack_that_reaches_power_is_refused;
    "attributes are power", [(
        "WHERE r.rolsuper OR r.rolcreaterole OR r.rolcreatedb OR r.rolreplication OR r.rolbypassrls",
        "WHERE r.rolsuper"
    )], crate::packs::a_pack_that_reaches_power_is_refused;
    "a pack's role is the very one that was made", [(
        "WHEN NOT EXISTS (SELECT FROM pg_catalog.pg_roles r WHERE r.oid = p_oid AND r.rolname = p_name)",
        "WHEN NOT EXISTS (SELECT FROM pg_catalog.pg_roles r WHERE r.rolname = p_name)"
    )], crate::packs::a_pack_that_reaches_power_is_refused;
}
