//! What is true on a target: its own catalog and activity, asked by its superuser.

use gk_shared::ids::SessionId;
use gk_shared::names::RoleName;
use gk_testkit::TestPg;
use jiff::Timestamp;
use std::time::Duration;
use tokio_postgres::Client;

/// A role of our pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleSeen {
    /// Its session.
    pub session: SessionId,
    /// Its oid.
    pub oid: u32,
    /// Whether it may log in, if the time allows.
    pub can_login: bool,
    /// Whether it may log in now: by the attribute and by its end.
    pub armed: bool,
    /// Its end; none means never.
    pub valid_until: Option<Timestamp>,
    /// Its connections.
    pub backends: i64,
}

/// The catalog of one target.
#[derive(Debug)]
pub struct Catalog {
    client: Client,
}

impl Catalog {
    /// Looks at this server from this database.
    pub async fn of(pg: &TestPg, database: &str) -> Self {
        Self { client: pg.superuser(database).await }
    }

    /// The superuser's connection, for whatever else a test has to do there.
    #[must_use]
    pub fn superuser(&self) -> &Client {
        &self.client
    }

    /// Every role of our pattern.
    pub async fn roles(&self) -> Vec<RoleSeen> {
        let sql = "-- catalog::roles
            SELECT r.rolname::text, r.oid, r.rolcanlogin,
                   r.rolcanlogin AND coalesce(r.rolvaliduntil > clock_timestamp(), true),
                   nullif(nullif(r.rolvaliduntil, 'infinity'), '-infinity'),
                   (SELECT count(*) FROM pg_stat_activity a WHERE a.usesysid = r.oid)
              FROM pg_roles r WHERE r.rolname ~ '^gk_[0-9a-hjkmnp-tv-z]{26}$' ORDER BY 1";
        let rows = self.client.query(sql, &[]).await.expect("the target answers its superuser");
        let role = |row: &tokio_postgres::Row| RoleSeen {
            session: row.get::<_, String>(0).parse::<RoleName>().expect("the query asks for our pattern").session(),
            oid: row.get(1),
            can_login: row.get(2),
            armed: row.get(3),
            valid_until: row.get(4),
            backends: row.get(5),
        };
        rows.iter().map(role).collect()
    }

    /// The role of a session, if it is there.
    pub async fn role(&self, session: SessionId) -> Option<RoleSeen> {
        self.roles().await.into_iter().find(|role| role.session == session)
    }

    /// Ok once the session's role is gone, for polling.
    ///
    /// # Errors
    /// It is still there.
    pub async fn gone(&self, session: SessionId) -> Result<(), String> {
        self.role(session).await.map_or(Ok(()), |role| Err(format!("{role:?}")))
    }

    /// Waits until no role of our pattern is left.
    ///
    /// # Panics
    /// Some stay.
    pub async fn gone_all(&self) {
        gk_testkit::eventually(crate::SOON, "no role of ours is left", async || match self.roles().await {
            roles if roles.is_empty() => Ok(()),
            roles => Err(format!("{roles:?}")),
        })
        .await;
    }

    /// How many connections an oid has: the name of a dropped role is no longer in its backends.
    pub async fn backends(&self, oid: u32) -> i64 {
        let sql = "-- catalog::backends\nSELECT count(*) FROM pg_stat_activity WHERE usesysid = $1";
        self.client.query_one(sql, &[&oid]).await.expect("the target answers its superuser").get(0)
    }

    /// Ok once nobody is connected as this oid, for polling.
    ///
    /// # Errors
    /// Somebody is.
    pub async fn quiet(&self, oid: u32) -> Result<(), String> {
        match self.backends(oid).await {
            0 => Ok(()),
            some => Err(format!("{some} backends")),
        }
    }

    /// Whether a deadman is at work in the catalog's database.
    pub async fn deadman_runs(&self) -> bool {
        self.truth("SELECT EXISTS (SELECT FROM pg_stat_activity a JOIN gk.watch w ON w.pid = a.pid WHERE a.state = 'active' OR a.query LIKE 'CALL gk.deadman%')")
            .await
    }

    /// The server's clock.
    pub async fn now(&self) -> Timestamp {
        self.client
            .query_one("-- catalog::now\nSELECT clock_timestamp()", &[])
            .await
            .expect("the target answers")
            .get(0)
    }

    /// How much of the time until `end` is left by the server's clock; none of it if that has passed.
    pub async fn left(&self, end: Timestamp) -> Duration {
        Duration::try_from(end.duration_since(self.now().await)).unwrap_or_default()
    }

    /// A yes-or-no question.
    pub async fn truth(&self, sql: &str) -> bool {
        self.client.query_one(sql, &[]).await.unwrap_or_else(|error| panic!("{sql}: {error}")).get(0)
    }

    /// Statements.
    pub async fn run(&self, sql: &str) {
        self.client.batch_execute(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }
}
