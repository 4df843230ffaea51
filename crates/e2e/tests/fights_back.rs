//! A user who does what he can to stay: he is out at once, loses nothing that is his, and what he left is told.

use gk_e2e::{SOON, Stack, TestPg, User, Version, bootstrap, eventually, is_refused, on_both_lines};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;
use tokio::task::JoinSet;

on_both_lines!(tables_in_two_databases_a_prepared_transaction_a_storm_and_a_password_of_his_own_do_not_keep_him_in,);

const OWN_PASSWORD: &str = "a-password-of-his-own";
const MINE: &str = "CREATE TABLE mine AS SELECT g AS a FROM generate_series(1, 7) g";

/// Clients that connect again as soon as they are thrown out.
struct Storm {
    stop: Arc<AtomicBool>,
    logins: Arc<AtomicU32>,
    clients: JoinSet<()>,
}

impl Storm {
    fn rage(dsn: &str, clients: usize) -> Self {
        let (stop, logins) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));
        let mut all = JoinSet::new();
        for _ in 0..clients {
            let (stop, logins, dsn) = (Arc::clone(&stop), Arc::clone(&logins), dsn.to_owned());
            all.spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    match User::login(&dsn).await {
                        Ok(user) => {
                            logins.fetch_add(1, Ordering::Relaxed);
                            drop(user.client.batch_execute("SELECT pg_sleep(0.2)").await);
                        }
                        // More connections than the role may have, or refused: again, but leave the machine some air.
                        Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
                    }
                }
            });
        }
        Self { stop, logins, clients: all }
    }

    fn logins(&self) -> u32 {
        self.logins.load(Ordering::Relaxed)
    }

    async fn end(mut self) {
        self.stop.store(true, Ordering::Relaxed);
        while let Some(client) = self.clients.join_next().await {
            client.expect("no client panics");
        }
    }
}

/// A second database of the same DBA, with the helpers in it; in both of them sessions may create things.
async fn two_databases(stack: &Stack) {
    let superuser = stack.target.superuser("postgres").await;
    superuser.batch_execute("CREATE DATABASE second OWNER dba").await.expect("the database is new");
    let password = stack.room.path("agent-db.password");
    let dsn = stack.target.dsn("dba", "the-dbas-own-password", "second");
    bootstrap(&stack.room, &dsn, &password.to_string_lossy()).await;
    for database in ["app", "second"] {
        let superuser = stack.target.superuser(database).await;
        superuser.batch_execute("GRANT CREATE ON SCHEMA public TO PUBLIC").await.expect("a superuser may");
    }
}

async fn owner_and_rows(target: &TestPg, database: &str) -> (String, i64) {
    let sql =
        "SELECT (SELECT relowner::regrole::text FROM pg_class WHERE relname = 'mine'), (SELECT count(*) FROM mine)";
    let row = target.superuser(database).await.query_one(sql, &[]).await.expect("the table is still there");
    (row.get(0), row.get(1))
}

/// All that Postgres lets him do to stay, and nothing of what it does not.
async fn dig_in(user: &User, dsn: &str) {
    user.client.batch_execute(MINE).await.expect("he may create");
    let there = User::login(&dsn.replace("/app?", "/second?")).await.expect("he may connect");
    there.client.batch_execute(MINE).await.expect("he may create there, too");
    let prepare = "BEGIN; CREATE TABLE hidden (a int); PREPARE TRANSACTION 'his'";
    user.client.batch_execute(prepare).await.expect("the server allows it");
    user.client
        .batch_execute(&format!("ALTER ROLE CURRENT_USER PASSWORD '{OWN_PASSWORD}'"))
        .await
        .expect("Postgres allows it");
    for refused in ["VALID UNTIL 'infinity'", "CONNECTION LIMIT -1", "CREATEROLE"] {
        let denied = user.client.batch_execute(&format!("ALTER ROLE CURRENT_USER {refused}")).await;
        assert!(denied.is_err(), "{refused}");
    }
}

async fn tables_in_two_databases_a_prepared_transaction_a_storm_and_a_password_of_his_own_do_not_keep_him_in(
    version: Version,
) {
    let stack = Stack::with(version).target_setting("max_prepared_transactions", "4").start().await;
    two_databases(&stack).await;
    let catalog = stack.catalog().await;
    let (id, dsn) = stack.session("app_write", "10m").await;
    let user = User::login(&dsn).await.expect("the session is ready");
    dig_in(&user, &dsn).await;
    let own_dsn = with_password(&dsn, OWN_PASSWORD);
    let storm = Storm::rage(&own_dsn, 16);
    let raging = async || if storm.logins() > 3 { Ok(()) } else { Err("no storm yet") };
    eventually(SOON, "the storm rages", raging).await;

    let id = id.to_string();
    stack.gk(&["session", "revoke", &id]).await.ok();
    let cut = async || catalog.quiet(user.role_oid).await;
    eventually(SOON, "nobody is connected", cut).await;
    let logins = storm.logins();
    let shown = eventually(SOON, "it is quarantined", async || {
        let shown = stack.gk(&["session", "show", &id, "--json"]).await.ok().json();
        if shown["status"] == "quarantined" { Ok(shown) } else { Err(shown.to_string()) }
    });
    let blocked = shown.await["blocked"].as_str().expect("it says what is left").to_owned();
    assert!(blocked.contains("ROLLBACK PREPARED 'his'") && blocked.contains("app"), "the mend is named: {blocked}");
    stack.gk(&["session", "show", &id]).await.ok().stdout_has("ROLLBACK PREPARED 'his'");
    for dsn in [&dsn, &own_dsn] {
        is_refused(dsn).await.expect("neither password works");
    }
    let role = catalog.role(id.parse().expect("an id")).await.expect("it cannot be dropped yet");
    assert!(!role.can_login && role.backends == 0, "{role:?}");
    let found = stack.gk_admin(&["cleanup", "check", "--max-lag", "1s"]).await.exits(10);
    assert!(found.stdout.contains("ROLLBACK PREPARED 'his'"), "{}", found.stdout);

    catalog.run("ROLLBACK PREPARED 'his'").await;
    stack.gk_admin(&["cleanup", "run", "--target", "pg-local"]).await.ok();
    let books = stack.books().await;
    eventually(SOON, "after the mend it is over", async || {
        books.has_status(id.parse().expect("an id"), "revoked").await
    })
    .await;
    catalog.gone_all().await;
    assert_eq!(storm.logins(), logins, "nobody came in after the cut");
    storm.end().await;
    for database in ["app", "second"] {
        assert_eq!(owner_and_rows(&stack.target, database).await, ("gk_heir".to_owned(), 7), "in {database}");
    }
    stack.gk_admin(&["cleanup", "check", "--max-lag", "1s"]).await.ok();
}

/// The connection string with another password: `scheme://user:password@…`.
fn with_password(dsn: &str, password: &str) -> String {
    let (login, rest) = dsn.rsplit_once('@').expect("a login stands before the host");
    let (user, _) = login.rsplit_once(':').expect("a password stands in the login");
    format!("{user}:{password}@{rest}")
}
