//! What whoever owns the ledger can do to its log: SQL of a superuser, with the triggers that refuse it switched off.

/// Statements that every attack may use. They live as long as the connection.
pub(crate) const TOOLS: &str = r#"
CREATE FUNCTION pg_temp.leaf(canonical text) RETURNS bytea LANGUAGE sql AS
    $$ SELECT sha256('\x00'::bytea || convert_to(canonical, 'UTF8')) $$;
CREATE FUNCTION pg_temp.link(prev bytea, seq bigint, leaf bytea) RETURNS bytea LANGUAGE sql AS
    $$ SELECT sha256('\x02'::bytea || prev || int8send(seq) || leaf) $$;
CREATE FUNCTION pg_temp.unlock() RETURNS void LANGUAGE plpgsql AS $$
DECLARE stays record;
BEGIN
    FOR stays IN SELECT tgrelid::regclass AS tab, tgname FROM pg_trigger
                  WHERE tgfoid = 'audit_is_append_only'::regproc LOOP
        EXECUTE format('ALTER TABLE %s DISABLE TRIGGER %I', stays.tab, stays.tgname);
    END LOOP;
END $$;
-- Puts another actor into the event at this place, with a leaf that fits it.
CREATE FUNCTION pg_temp.edit(place bigint) RETURNS void LANGUAGE sql AS $$
    UPDATE audit_events e SET canonical = c.forged, leaf = pg_temp.leaf(c.forged)
      FROM audit_links l, LATERAL (SELECT regexp_replace(o.canonical, '"actor":"[^"]*"', '"actor":"mallory"') AS forged
                                     FROM audit_events o WHERE o.id = l.event_id) c
     WHERE l.seq = place AND e.id = l.event_id $$;
-- Makes room at this place and puts a copy of the event before it there, with a link that fits those before.
CREATE FUNCTION pg_temp.put(place bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE made uuid := gen_random_uuid();
BEGIN
    UPDATE audit_links SET seq = seq + 1000000 WHERE seq >= place;
    UPDATE audit_links SET seq = seq - 999999 WHERE seq > 1000000;
    INSERT INTO audit_events (id, tenant_id, canonical, leaf)
        SELECT made, e.tenant_id, e.canonical, e.leaf
          FROM audit_events e JOIN audit_links l ON l.event_id = e.id WHERE l.seq = place - 1;
    INSERT INTO audit_links (tenant_id, seq, event_id, prev, hash, upto)
        SELECT l.tenant_id, place, made, l.hash, pg_temp.link(l.hash, place, e.leaf), l.upto
          FROM audit_links l, audit_events e WHERE l.seq = place - 1 AND e.id = made;
END $$;
-- Takes the event at this place out and closes the gap.
CREATE FUNCTION pg_temp.take(place bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM audit_links WHERE seq = place;
    UPDATE audit_links SET seq = seq + 1000000 WHERE seq > place;
    UPDATE audit_links SET seq = seq - 1000001 WHERE seq > 1000000;
END $$;
-- Lets the events at this place and the next change places.
CREATE FUNCTION pg_temp.swap(place bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE one uuid; two uuid;
BEGIN
    SELECT event_id INTO one FROM audit_links WHERE seq = place;
    SELECT event_id INTO two FROM audit_links WHERE seq = place + 1;
    UPDATE audit_links SET event_id = gen_random_uuid() WHERE seq = place;
    UPDATE audit_links SET event_id = one WHERE seq = place + 1;
    UPDATE audit_links SET event_id = two WHERE seq = place;
END $$;
-- Computes every link anew, so that the chain holds again.
CREATE FUNCTION pg_temp.rebuild() RETURNS void LANGUAGE plpgsql AS $$
DECLARE last bytea := sha256('gatekeeper/audit/v1'); link record;
BEGIN
    FOR link IN SELECT l.seq, e.leaf FROM audit_links l JOIN audit_events e ON e.id = l.event_id ORDER BY l.seq LOOP
        UPDATE audit_links SET prev = last, hash = pg_temp.link(last, seq, link.leaf) WHERE seq = link.seq
            RETURNING hash INTO last;
    END LOOP;
END $$;
"#;
