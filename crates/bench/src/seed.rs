//! Many sessions without making each: rows that are copies of one session that the product made itself, in the ledger
//! and on the target.
//!
//! Copied are the session, its job, its idempotency key and its audit events (the sealer links those itself, as always),
//! and on the target the role with its memberships and its mark, and the fence row. Not copied: the role's entries in
//! pg_shdepend, which only a drop reads.

use std::time::Duration;

use gk_e2e::TARGET;
use gk_shared::ids::{EventId, SessionId};
use rand::RngExt as _;
use tokio_postgres::Client;
use uuid::Uuid;

use crate::lab::Lab;
use crate::ours;

/// Rows of one transaction.
const CHUNK: usize = 500;
/// Targets that hold sessions which are not on the measured one.
const ELSEWHERE: i32 = 20;
/// Longest that the sealer takes for the events of 100,000 sessions.
const SEALED: Duration = Duration::from_secs(600);

/// Where copied sessions are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// On twenty targets that no agent serves.
    Elsewhere,
    /// On the measured target.
    Here,
}

/// How the copies differ from the session that was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Life {
    /// They last as long as it does.
    Live,
    /// Their time was over a minute ago.
    Overdue,
}

/// The session that is copied.
pub(crate) struct Model {
    id: SessionId,
    ledger: Client,
}

impl Model {
    /// Has one made.
    pub(crate) async fn make(lab: &Lab) -> Self {
        let opened = ours::open(&lab.clients[0], ours::request(TARGET, 14_400)).await;
        let ledger = lab.stack.plane.ledger.superuser(lab.stack.plane.database()).await;
        let sql = format!(
            "-- bench::elsewhere\nINSERT INTO targets SELECT (jsonb_populate_record(t, jsonb_build_object(\
             'id', gen_random_uuid(), 'name', 'seeded-' || n))).* FROM targets t, generate_series(1, {ELSEWHERE}) n \
             WHERE t.name = '{TARGET}'"
        );
        ledger.batch_execute(&sql).await.expect("the superuser of the ledger may add targets");
        Self { id: opened.view.session_id, ledger }
    }

    /// Copies it `count` times in the ledger.
    pub(crate) async fn copy(&self, count: usize, place: Place, life: Life) -> Vec<SessionId> {
        let ids: Vec<SessionId> = (0..count).map(|_| fresh(SessionId::from_parts)).collect();
        for some in ids.chunks(CHUNK) {
            let uuids: Vec<Uuid> = some.iter().map(SessionId::uuid).collect();
            let overdue = life == Life::Overdue;
            let params: [&(dyn tokio_postgres::types::ToSql + Sync); 4] =
                [&self.id.uuid(), &uuids, &(place == Place::Elsewhere), &overdue];
            self.ledger.execute(SESSIONS, &params).await.expect("copies of a good session are good");
            let names: Vec<String> = some.iter().map(SessionId::to_string).collect();
            self.others(&uuids, &names).await;
        }
        self.ledger.batch_execute("-- bench::analyze\nANALYZE").await.expect("the superuser may analyze");
        ids
    }

    async fn others(&self, uuids: &[Uuid], names: &[String]) {
        let model = self.id.uuid();
        for sql in [JOBS, KEYS] {
            self.ledger.execute(sql, &[&model, &uuids]).await.expect("copies of good rows are good");
        }
        let events: Vec<(Uuid, String)> = self.events(names.len()).await;
        let (ids, texts): (Vec<Uuid>, Vec<String>) = events.into_iter().unzip();
        self.ledger
            .execute(EVENTS, &[&self.id.to_string(), &names, &ids, &texts])
            .await
            .expect("copies of good events are good");
    }

    /// Fresh ids for the events of so many sessions.
    async fn events(&self, sessions: usize) -> Vec<(Uuid, String)> {
        let sql = "-- bench::events\nSELECT count(*) FROM audit_events WHERE object = $1";
        let row = self.ledger.query_one(sql, &[&self.id.to_string()]).await.expect("the ledger answers");
        let each = usize::try_from(row.get::<_, i64>(0)).expect("a few");
        let id = || -> EventId { fresh(EventId::from_parts) };
        (0..sessions * each).map(|_| id()).map(|id| (id.uuid(), id.to_string())).collect()
    }

    /// Waits until every event has its place in the log.
    pub(crate) async fn sealed(&self) {
        let sql = "-- bench::unsealed\nSELECT (SELECT count(*) FROM audit_events) - (SELECT count(*) FROM audit_links)";
        gk_e2e::eventually(SEALED, "the log is sealed", async || {
            match self.ledger.query_one(sql, &[]).await.map(|row| row.get::<_, i64>(0)) {
                Ok(left) if left < 10 => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })
        .await;
    }

    /// Copies it on the target under these ids, as one transaction.
    pub(crate) async fn copy_roles(&self, lab: &Lab, ids: &[SessionId]) {
        let names: Vec<String> = ids.iter().map(SessionId::to_string).collect();
        let superuser = &lab.observer;
        superuser.batch_execute(FRESH).await.expect("a superuser may write to catalogs");
        superuser.execute(OIDS, &[&names]).await.expect("a superuser may take oids");
        for sql in [ROLES, MEMBERS, MARKS, FENCE] {
            superuser.execute(sql, &[&self.id.to_string()]).await.expect("copies of good rows are good");
        }
        superuser.batch_execute("-- bench::commit\nCOMMIT; ANALYZE gk.fence, pg_authid").await.expect("it commits");
    }
}

fn fresh<Id>(make: impl Fn(u64, [u8; 10]) -> Id) -> Id {
    // Any time will do that sorts before those of sessions made from now on.
    make(1_790_000_000_000 + rand::rng().random_range(0..86_400_000), rand::rng().random())
}

const SESSIONS: &str = "-- bench::sessions
    WITH t AS (SELECT array_agg(id) AS ids FROM targets WHERE name LIKE 'seeded-%')
    INSERT INTO sessions SELECT (jsonb_populate_record(s, jsonb_build_object('id', n.id, 'target_id',
        CASE WHEN $3 THEN t.ids[1 + n.place % cardinality(t.ids)] ELSE s.target_id END,
        'ready_at', CASE WHEN $4 THEN now() - interval '1 hour' ELSE s.ready_at END,
        'expires_at', CASE WHEN $4 THEN now() - interval '1 minute' ELSE s.expires_at END))).*
    FROM sessions s, t, unnest($2::uuid[]) WITH ORDINALITY AS n (id, place) WHERE s.id = $1";
const JOBS: &str = "-- bench::jobs
    INSERT INTO jobs SELECT (jsonb_populate_record(j, jsonb_build_object('id', gen_random_uuid(), 'session_id', n.id,
        'target_id', s.target_id))).*
    FROM jobs j, unnest($2::uuid[]) AS n (id) JOIN sessions s ON s.id = n.id WHERE j.session_id = $1";
const KEYS: &str = "-- bench::keys
    INSERT INTO idempotency_keys SELECT (jsonb_populate_record(k, jsonb_build_object('key', n.id, 'session_id', n.id))).*
    FROM idempotency_keys k, unnest($2::uuid[]) AS n (id) WHERE k.session_id = $1";
const EVENTS: &str = "-- bench::events
    WITH model AS (
        SELECT *, row_number() OVER (ORDER BY id) - 1 AS place, count(*) OVER () AS each FROM audit_events WHERE object = $1
    ), copy AS (
        SELECT ($3::uuid[])[at] AS id, m.tenant_id,
            replace(replace(m.canonical, m.canonical::jsonb ->> 'id', ($4::text[])[at]), $1, n.name) AS canonical
        FROM unnest($2::text[]) WITH ORDINALITY AS n (name, number), model m,
            LATERAL (SELECT (n.number - 1) * m.each + m.place + 1 AS at) a
    )
    INSERT INTO audit_events (id, tenant_id, canonical, leaf)
    SELECT id, tenant_id, canonical, sha256('\\x00'::bytea || convert_to(canonical, 'UTF8')) FROM copy";

const FRESH: &str = "-- bench::fresh
    SET allow_system_table_mods = on; CREATE TEMP TABLE IF NOT EXISTS fresh (session text, role oid);
    BEGIN; TRUNCATE fresh";
const OIDS: &str = "-- bench::oids
    INSERT INTO fresh SELECT s, pg_nextoid('pg_authid', 'oid', 'pg_authid_oid_index') FROM unnest($1::text[]) s";
const ROLES: &str = "-- bench::roles
    INSERT INTO pg_authid SELECT (jsonb_populate_record(r, jsonb_build_object('oid', n.role, 'rolname', gk.role_of(n.session)))).*
    FROM pg_authid r, fresh n WHERE r.rolname = gk.role_of($1)";
const MEMBERS: &str = "-- bench::members
    INSERT INTO pg_auth_members SELECT (jsonb_populate_record(m, jsonb_build_object(
        'roleid', CASE m.roleid WHEN r.oid THEN n.role ELSE m.roleid END,
        'member', CASE m.member WHEN r.oid THEN n.role ELSE m.member END)
        || CASE WHEN to_jsonb(m) ? 'oid' THEN jsonb_build_object('oid',
            pg_nextoid('pg_auth_members', 'oid', to_regclass('pg_auth_members_oid_index'))) ELSE '{}' END)).*
    FROM pg_authid r JOIN pg_auth_members m ON r.oid IN (m.roleid, m.member), fresh n
    WHERE r.rolname = gk.role_of($1)";
const MARKS: &str = "-- bench::marks
    INSERT INTO pg_shdescription SELECT n.role, d.classoid, replace(d.description, $1, n.session)
    FROM pg_authid r JOIN pg_shdescription d ON d.objoid = r.oid AND d.classoid = 'pg_authid'::regclass, fresh n
    WHERE r.rolname = gk.role_of($1)";
const FENCE: &str = "-- bench::fence
    INSERT INTO gk.fence SELECT (jsonb_populate_record(f, jsonb_build_object('session', n.session,
        'role_name', gk.role_of(n.session), 'role_oid', n.role))).*
    FROM gk.fence f, fresh n WHERE f.session = $1";
