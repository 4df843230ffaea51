-- The control plane need not own its tables. Logins that run it are members of gk_ledger_runtime, which may not change
-- the schema, and may only read and add to the audit log. Where the owner may not make roles (a managed Postgres, a
-- plain database owner) the role is left out with a notice, and the triggers of V0005 stand alone.

DO $$
BEGIN
    BEGIN
        CREATE ROLE gk_ledger_runtime NOLOGIN;
    EXCEPTION
        WHEN duplicate_object OR unique_violation THEN NULL;   -- another ledger of this server made it
        WHEN insufficient_privilege THEN
            RAISE NOTICE 'this login may not create roles: gk_ledger_runtime is left out';
    END;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'gk_ledger_runtime') THEN
        EXECUTE format('GRANT USAGE ON SCHEMA %I TO gk_ledger_runtime', current_schema());
        GRANT SELECT ON refinery_schema_history TO gk_ledger_runtime;
        GRANT SELECT ON tenants TO gk_ledger_runtime;
        GRANT SELECT, INSERT, UPDATE ON actors, tokens, agents, targets, packs TO gk_ledger_runtime;
        GRANT SELECT, INSERT, UPDATE ON sessions TO gk_ledger_runtime;
        GRANT SELECT, INSERT, UPDATE, DELETE ON agent_targets, target_packs, jobs, idempotency_keys TO gk_ledger_runtime;
        GRANT SELECT, INSERT ON audit_events, audit_links TO gk_ledger_runtime;
    END IF;
END $$;
