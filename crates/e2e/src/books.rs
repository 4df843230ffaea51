//! What the ledger holds, asked by its superuser: what should be, for the tests to hold against what is.

use gk_shared::ids::SessionId;
use gk_testkit::TestPg;
use jiff::Timestamp;
use tokio_postgres::{Client, Row};
use uuid::Uuid;

/// A session in the ledger.
#[derive(Debug, Clone)]
pub struct SessionRow {
    /// Its id.
    pub id: SessionId,
    /// Its status word.
    pub status: String,
    /// Whether it is wanted.
    pub wanted: bool,
    /// Its end, once it was ready.
    pub expires_at: Option<Timestamp>,
    /// When its role was seen to be gone.
    pub ended_at: Option<Timestamp>,
}

/// The ledger.
#[derive(Debug)]
pub struct Books {
    client: Client,
}

const SESSIONS: &str =
    "SELECT s.id, session_status(s), s.desired = 'present', s.expires_at, s.ended_at FROM sessions s";

impl Books {
    /// Looks at the ledger on this server.
    pub async fn of(pg: &TestPg, database: &str) -> Self {
        Self { client: pg.superuser(database).await }
    }

    /// The superuser's connection, for whatever else a test has to ask.
    #[must_use]
    pub fn superuser(&self) -> &Client {
        &self.client
    }

    /// All sessions.
    pub async fn sessions(&self) -> Vec<SessionRow> {
        self.rows(&format!("-- books::sessions\n{SESSIONS} ORDER BY s.id")).await.iter().map(session).collect()
    }

    /// A session.
    ///
    /// # Panics
    /// It is not there.
    pub async fn session(&self, id: SessionId) -> SessionRow {
        let all = self.sessions().await;
        all.into_iter().find(|row| row.id == id).unwrap_or_else(|| panic!("{id} is not in the ledger"))
    }

    /// Ok once the session has this status, for polling.
    ///
    /// # Errors
    /// Its status as it is.
    pub async fn has_status(&self, id: SessionId, wanted: &str) -> Result<(), String> {
        let row = self.session(id).await;
        if row.status == wanted { Ok(()) } else { Err(row.status) }
    }

    /// Sessions that are neither as they are wanted nor over.
    pub async fn not_converged(&self) -> Vec<SessionRow> {
        let mut rows = self.sessions().await;
        rows.retain(|row| if row.wanted { row.status != "ready" } else { row.ended_at.is_none() });
        rows
    }

    /// Ok once all sessions are over, for polling.
    ///
    /// # Errors
    /// Those that are not.
    pub async fn all_over(&self) -> Result<(), String> {
        let mut rows = self.sessions().await;
        rows.retain(|row| row.ended_at.is_none());
        if rows.is_empty() { Ok(()) } else { Err(format!("{} sessions are not over: {rows:?}", rows.len())) }
    }

    /// The session that an idempotency key made, for each key that was used.
    pub async fn keys(&self) -> Vec<(String, SessionId)> {
        let rows = self.rows("-- books::keys\nSELECT key, session_id FROM idempotency_keys").await;
        rows.iter().map(|row| (row.get(0), SessionId::from_uuid(row.get::<_, Uuid>(1)))).collect()
    }

    /// How often an action stands in the audit log for a session.
    pub async fn audited(&self, id: SessionId, action: &str) -> i64 {
        let sql = "-- books::audited\nSELECT count(*) FROM audit_events WHERE object = $1 AND action = $2";
        self.client.query_one(sql, &[&id.to_string(), &action]).await.expect("the ledger answers its superuser").get(0)
    }

    /// A number.
    pub async fn count(&self, sql: &str) -> i64 {
        self.client.query_one(sql, &[]).await.unwrap_or_else(|error| panic!("{sql}: {error}")).get(0)
    }

    async fn rows(&self, sql: &str) -> Vec<Row> {
        self.client.query(sql, &[]).await.unwrap_or_else(|error| panic!("{sql}: {error}"))
    }
}

fn session(row: &Row) -> SessionRow {
    SessionRow {
        id: SessionId::from_uuid(row.get::<_, Uuid>(0)),
        status: row.get(1),
        wanted: row.get(2),
        expires_at: row.get(3),
        ended_at: row.get(4),
    }
}
