//! A bootstrapped target with some data, and the words in which the tests speak to it.

use gk_agent::bootstrap::{self, BootstrapOptions, RolePack, packs};
use gk_testkit::{TestPg, TestPgOptions, Version, eventually};
use jiff::Timestamp;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

/// Long enough for a busy machine, short enough to find out.
pub(crate) const SOON: Duration = Duration::from_secs(20);
/// What every test's data owner puts into its database.
pub(crate) const DATA: &str = "
    REVOKE CREATE ON SCHEMA public FROM PUBLIC; -- the default from 15 on
    CREATE TABLE orders (id int PRIMARY KEY, user_id int NOT NULL, note text NOT NULL);
    INSERT INTO orders SELECT g, g % 10, 'note ' || g FROM generate_series(1, 100) g;
    CREATE VIEW recent_orders AS SELECT * FROM orders WHERE id > 90;
    CREATE MATERIALIZED VIEW order_counts AS SELECT user_id, count(*) FROM orders GROUP BY 1;
    CREATE SEQUENCE order_ids;";

static NEXT: AtomicU32 = AtomicU32::new(1);

/// A session as the control plane and the agent would know it.
pub(crate) struct Session {
    pub(crate) id: String,
    pub(crate) role: String,
    pub(crate) password: String,
    pub(crate) verifier: String,
}

impl Session {
    pub(crate) fn new() -> Self {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let id = format!("sess_01ARZ3NDEKTSV4RRFF{number:08}");
        let role = format!("gk_{}", id["sess_".len()..].to_lowercase());
        let password = format!("pw{number}");
        let verifier = postgres_protocol::password::scram_sha_256(password.as_bytes());
        Self { id, role, password, verifier }
    }

    /// The same session with another secret, as another attempt at its job makes it.
    pub(crate) fn with_secret(&self, password: &str) -> Self {
        let verifier = postgres_protocol::password::scram_sha_256(password.as_bytes());
        Self { id: self.id.clone(), role: self.role.clone(), password: password.to_owned(), verifier }
    }
}

/// The arguments of `gk.mint`, with what most tests want.
pub(crate) struct Mint {
    pub(crate) generation: i64,
    pub(crate) pack: &'static RolePack,
    pub(crate) subject: &'static str,
    pub(crate) ttl: &'static str,
    pub(crate) lease: &'static str,
    pub(crate) conn_limit: Option<i32>,
}

impl Default for Mint {
    fn default() -> Self {
        Self {
            generation: 1,
            pack: pack("app_read"),
            subject: "alice",
            ttl: "10 minutes",
            lease: "30 seconds",
            conn_limit: None,
        }
    }
}

impl Mint {
    pub(crate) fn generation(generation: i64) -> Self {
        Self { generation, ..Self::default() }
    }

    pub(crate) fn ttl(ttl: &'static str) -> Self {
        Self { ttl, ..Self::default() }
    }
}

/// What `gk.mint` answers.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Minted {
    pub(crate) role: String,
    pub(crate) until: Timestamp,
    pub(crate) outcome: String,
}

/// A pack of this build.
pub(crate) fn pack(name: &str) -> &'static RolePack {
    packs().iter().find(|pack| pack.name == name).unwrap()
}

/// A cluster with a bootstrapped database `app`.
pub(crate) struct Lab {
    pub(crate) pg: TestPg,
    pub(crate) dba: Client,
    pub(crate) agent: Client,
}

pub(crate) const AGENT_PASSWORD: &str = "agent-password";

/// The options that every test's bootstrap has: a password for the agent.
pub(crate) fn options() -> BootstrapOptions {
    let verifier = postgres_protocol::password::scram_sha_256(AGENT_PASSWORD.as_bytes());
    BootstrapOptions { agent_password_verifier: Some(verifier.parse().unwrap()), ..BootstrapOptions::default() }
}

/// The bootstrap script, less the guard that [`crate::guards`] has taken away on this thread.
pub(crate) fn script(options: &BootstrapOptions) -> String {
    crate::guards::weakened(&bootstrap::script(options))
}

impl Lab {
    pub(crate) async fn new(version: Version) -> Self {
        Self::with(TestPg::with(version)).await
    }

    pub(crate) async fn with(options_of_server: TestPgOptions) -> Self {
        let pg = options_of_server.start().await;
        pg.create_database("app").await;
        let dba = pg.superuser("app").await;
        dba.batch_execute(DATA).await.unwrap();
        dba.batch_execute(&script(&options())).await.unwrap();
        let agent = pg.connect("gk_agent", AGENT_PASSWORD, "app").await.unwrap();
        Self { pg, dba, agent }
    }

    /// Another connection of the agent.
    pub(crate) async fn another_agent(&self) -> Client {
        self.pg.connect("gk_agent", AGENT_PASSWORD, "app").await.unwrap()
    }

    pub(crate) async fn mint(&self, session: &Session, how: &Mint) -> Result<Minted, tokio_postgres::Error> {
        mint(&self.agent, session, how).await
    }

    pub(crate) async fn minted(&self, how: &Mint) -> Session {
        let session = Session::new();
        self.mint(&session, how).await.unwrap();
        session
    }

    /// A connection of the session's user.
    pub(crate) async fn login(&self, session: &Session) -> Result<Client, tokio_postgres::Error> {
        self.pg.connect(&session.role, &session.password, "app").await
    }

    pub(crate) async fn disarm(&self, session: &Session, generation: i64) -> Result<String, tokio_postgres::Error> {
        let row = self.agent.query_one("-- lab::disarm\nSELECT gk.disarm($1, $2)", &[&session.id, &generation]).await?;
        Ok(row.get(0))
    }

    pub(crate) async fn kill(&self, session: &Session) -> Result<i32, tokio_postgres::Error> {
        Ok(self.agent.query_one("-- lab::kill\nSELECT gk.kill($1)", &[&session.id]).await?.get(0))
    }

    pub(crate) async fn reap(&self, session: &Session) -> Result<(String, String), tokio_postgres::Error> {
        let row = self.agent.query_one("-- lab::reap\nSELECT * FROM gk.reap($1)", &[&session.id]).await?;
        Ok((row.get(0), row.get(1)))
    }

    /// Kills until nobody is left.
    pub(crate) async fn cut(&self, session: &Session) {
        eventually(SOON, "no session is left", async || match self.kill(session).await.unwrap() {
            0 => Ok(()),
            left => Err(format!("{left} left")),
        })
        .await;
    }

    /// Reaps until the outcome is this one, and gives the detail.
    pub(crate) async fn reaped(&self, session: &Session, wanted: &str) -> String {
        eventually(SOON, wanted, async || match self.reap(session).await.unwrap() {
            (outcome, detail) if outcome == wanted => Ok(detail),
            other => Err(format!("{other:?}")),
        })
        .await
    }

    /// Disarm, kill, reap: the whole end.
    pub(crate) async fn end(&self, session: &Session) {
        assert_eq!(self.disarm(session, 99).await.unwrap(), "disarmed");
        self.cut(session).await;
        self.reaped(session, "dropped").await;
        assert!(!self.role_exists(session).await);
    }

    /// The sweep's rows: session, outcome, detail.
    pub(crate) async fn sweep(&self) -> Vec<(String, String, String)> {
        let rows = self.agent.query("-- lab::sweep\nSELECT * FROM gk.sweep(100)", &[]).await.unwrap();
        rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect()
    }

    /// Sweeps until this was done to the session, and gives the detail.
    pub(crate) async fn swept(&self, session: &Session, wanted: &str) -> String {
        eventually(SOON, wanted, async || {
            let rows = self.sweep().await;
            let found = rows.iter().find(|(id, outcome, _)| *id == session.id && outcome == wanted);
            found.map(|(_, _, detail)| detail.clone()).ok_or_else(|| format!("{rows:?}"))
        })
        .await
    }

    /// What `gk.observe` says of a session: state, armed, backends, detail.
    pub(crate) async fn observed(&self, session: &Session) -> Option<(String, bool, i64, String)> {
        let sql = "-- lab::observed\nSELECT state, armed, backends, coalesce(detail, '') FROM gk.observe() WHERE session = $1";
        let row = self.agent.query_opt(sql, &[&session.id]).await.unwrap()?;
        Some((row.get(0), row.get(1), row.get(2), row.get(3)))
    }

    pub(crate) async fn role_exists(&self, session: &Session) -> bool {
        self.truth(&format!("SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = '{}')", session.role)).await
    }

    /// A yes-or-no question to the superuser.
    pub(crate) async fn truth(&self, sql: &str) -> bool {
        self.dba.query_one(sql, &[]).await.unwrap().get(0)
    }
}

pub(crate) async fn mint(agent: &Client, session: &Session, how: &Mint) -> Result<Minted, tokio_postgres::Error> {
    let sql = "-- lab::mint
        SELECT * FROM gk.mint($1, $2, $3, $4, $5, $6, $7, $8::text::interval, clock_timestamp() + $9::text::interval, $10)";
    let row = agent
        .query_one(
            sql,
            &[
                &session.id,
                &how.generation,
                &how.pack.name,
                &how.pack.version,
                &how.pack.digest,
                &how.subject,
                &session.verifier,
                &how.ttl,
                &how.lease,
                &how.conn_limit,
            ],
        )
        .await?;
    Ok(Minted { role: row.get(0), until: row.get(1), outcome: row.get(2) })
}

/// The SQLSTATE of a refusal.
#[track_caller]
pub(crate) fn refusal<T: std::fmt::Debug>(result: Result<T, tokio_postgres::Error>) -> String {
    let error = result.expect_err("this must be refused");
    error.code().map_or_else(|| format!("no SQLSTATE: {error}"), |code: &SqlState| code.code().to_owned())
}

/// Message, detail, hint and context of a refusal: all that a client or a log may see.
#[track_caller]
pub(crate) fn refusal_text<T: std::fmt::Debug>(result: Result<T, tokio_postgres::Error>) -> String {
    let error = result.expect_err("this must be refused");
    let db = error.as_db_error().expect("the server refused it").clone();
    format!("{} | {:?} | {:?} | {:?}", db.message(), db.detail(), db.hint(), db.where_())
}
