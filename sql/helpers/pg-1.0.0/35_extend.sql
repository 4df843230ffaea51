-- 35_extend.sql: gk.extend, the one way in which a session gets longer.
--
-- The new end is an instant of the target's clock and not a length, so that a repeated request changes nothing. What
-- always holds: never beyond the pack's max_ttl since the mint, never for a session that has ended or expired.

-- outcome 'extended' | 'unchanged': it ends then or later already
CREATE OR REPLACE FUNCTION gk.extend(p_session text, p_gen bigint, p_valid_until timestamptz, p_not_after timestamptz)
RETURNS TABLE (role_name name, valid_until timestamptz, outcome text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '3s' AS $$
#variable_conflict use_column
DECLARE
  v_role name := gk.role_of(p_session);
  v_max  interval;
  f      gk.fence;
BEGIN
  PERFORM gk.check_lease(p_not_after);
  IF p_gen IS NULL OR p_valid_until IS NULL OR NOT isfinite(p_valid_until) THEN
    RAISE EXCEPTION 'p_gen and a finite p_valid_until are required' USING ERRCODE = '22023';
  END IF;
  SELECT * INTO f FROM gk.fence x WHERE x.session = p_session FOR UPDATE;
  IF NOT FOUND THEN
    RAISE EXCEPTION '% is not a minted role', v_role USING ERRCODE = '42501', HINT = 'gk.mint comes first.';
  END IF;
  PERFORM gk.check_alive(f, p_gen);
  PERFORM gk.check_lease(p_not_after);
  UPDATE gk.fence x SET gen = p_gen WHERE x.session = p_session;
  IF p_valid_until <= f.valid_until THEN
    RETURN QUERY SELECT f.role_name, f.valid_until, 'unchanged'::text;
    RETURN;
  END IF;
  v_max := (gk.usable_pack(f.pack, f.pack_version, f.pack_digest)).max_ttl;
  IF p_valid_until - f.minted_at > v_max THEN
    RAISE EXCEPTION 'session % may last % seconds in all, from its mint', p_session, extract(epoch FROM v_max)::int
      USING ERRCODE = '22023', HINT = 'The upper bound is the pack''s max_ttl on this target. Request a new session.';
  END IF;
  PERFORM gk.set_expiry(f.role_name, p_valid_until);
  UPDATE gk.fence x SET valid_until = p_valid_until, ends_at = f.ends_at + (p_valid_until - f.valid_until)
   WHERE x.session = p_session;
  PERFORM gk.check_lease(p_not_after);
  RETURN QUERY SELECT f.role_name, p_valid_until, 'extended'::text;
END
$$;

CREATE OR REPLACE FUNCTION gk.set_expiry(p_role name, p_valid_until timestamptz) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM gk.alter_made(p_role, format('ALTER ROLE %I VALID UNTIL %L', p_role, gk.stamp(p_valid_until)));
EXCEPTION WHEN internal_error THEN  -- "tuple concurrently updated": worth another try
  RAISE EXCEPTION 'could not give role % a new expiry', p_role USING ERRCODE = '40001';
END
$$;
