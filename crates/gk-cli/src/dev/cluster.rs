//! The private Postgres: brought up, and with the logins and databases that the rest needs.
//!
//! What always holds: every step may be repeated, so a start that was killed half-way is finished by the next one; the
//! superuser is used here alone, and no session of the demo database can enter the ledger.

use super::error::DevError;
use super::layout::DevDir;
use super::secrets::Login;
use gk_local_postgres::{Binaries, Cluster, InitOptions, Server, StartOptions};
use gk_shared::secret::Password;
use std::net::{Ipv4Addr, TcpListener};
use tokio_postgres::{Client, NoTls};

/// The database that the demo is about.
pub(crate) const APP: &str = "app";
/// The control plane's own database.
pub(crate) const LEDGER: &str = "gk_ledger";

/// The logins that are made here; `gk_agent` is made by the bootstrap, as on any other target.
const LOGINS: [(Login, &str); 3] = [
    // A DBA as managed services give one: may make roles, is no superuser.
    (Login::AppOwner, "CREATEROLE"),
    (Login::LedgerOwner, "NOCREATEROLE"),
    (Login::LedgerRuntime, "NOCREATEROLE"),
];

/// Opens the cluster, or makes it, and starts its server on the port it had before if that is free.
pub(crate) async fn start(binaries: Binaries, dir: &DevDir, port: Option<u16>) -> Result<Server, DevError> {
    let path = dir.cluster();
    let cluster = if Cluster::exists(&path) {
        Cluster::open(binaries, &path)?
    } else {
        let password = Login::Superuser.password(dir)?;
        Cluster::init(binaries, &path, &InitOptions::new(Login::Superuser.role(), password.expose().into())).await?
    };
    start_again(cluster, port).await
}

/// Starts the server of a stopped cluster.
pub(crate) async fn start_again(cluster: Cluster, port: Option<u16>) -> Result<Server, DevError> {
    let options = settings();
    let Some(port) = port else { return Ok(cluster.start(&options).await?) };
    // One that outlived its gk may be what holds the port.
    cluster.stop_survivor().await?;
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok();
    let options = if free { options.on_port(port) } else { options };
    Ok(cluster.start(&options).await?)
}

fn settings() -> StartOptions {
    StartOptions::default()
        .in_own_process_group()
        .with("max_connections", "200")
        .with("cluster_name", "gk-dev")
        .with("log_line_prefix", "%m [%p] %q%u@%d %a ")
        // The segments are small, so the default is, too: filling the demo database would fill it several times.
        .with("max_wal_size", "512MB")
}

/// A connection of one of our own logins.
pub(crate) async fn connect(dir: &DevDir, port: u16, login: Login, database: &str) -> Result<Client, DevError> {
    let password = login.password(dir)?;
    let mut config = tokio_postgres::Config::new();
    config
        .host("127.0.0.1")
        .port(port)
        .user(login.role())
        .password(password.expose())
        .dbname(database)
        .application_name("gk dev");
    let (client, connection) =
        config.connect(NoTls).await.map_err(DevError::sql("connecting to the private Postgres"))?;
    tokio::spawn(async move {
        // The client's next call says what went wrong.
        let _ = connection.await;
    });
    Ok(client)
}

/// Makes the logins and databases that are not there yet, and gives each login the password of its file.
pub(crate) async fn prepare(dir: &DevDir, port: u16) -> Result<(), DevError> {
    let superuser = connect(dir, port, Login::Superuser, "postgres").await?;
    for (login, rights) in LOGINS {
        let sql = login_sql(login, rights, &login.password(dir)?);
        superuser.batch_execute(&sql).await.map_err(DevError::sql("making the logins"))?;
    }
    superuser.batch_execute(GROUPS).await.map_err(DevError::sql("making the groups"))?;
    for (database, owner) in [(APP, Login::AppOwner), (LEDGER, Login::LedgerOwner)] {
        make_database(&superuser, database, owner).await?;
    }
    Ok(())
}

fn login_sql(login: Login, rights: &str, password: &Password) -> String {
    let (role, verifier) = (login.role(), Login::verifier_literal(password));
    format!(
        "-- dev::cluster::login
         DO $$ BEGIN
           IF to_regrole('{role}') IS NULL THEN CREATE ROLE {role} LOGIN; END IF;
         END $$;
         ALTER ROLE {role} LOGIN NOSUPERUSER NOCREATEDB NOREPLICATION NOBYPASSRLS {rights} PASSWORD {verifier}"
    )
}

/// What a managed service's admin has, and what a ledger's owner would otherwise need CREATEROLE for.
const GROUPS: &str = "-- dev::cluster::groups
    GRANT pg_signal_backend TO app_owner WITH ADMIN OPTION;
    DO $$ BEGIN
      IF to_regrole('gk_ledger_runtime') IS NULL THEN CREATE ROLE gk_ledger_runtime NOLOGIN; END IF;
    END $$;
    GRANT gk_ledger_runtime TO ledger_runtime;
    REVOKE CONNECT ON DATABASE postgres, template1 FROM PUBLIC";

async fn make_database(superuser: &Client, database: &str, owner: Login) -> Result<(), DevError> {
    let failed = || DevError::sql("making the databases");
    let query = "-- dev::cluster::database_exists\nSELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)";
    let there: bool = superuser.query_one(query, &[&database]).await.map_err(failed())?.get(0);
    if !there {
        let create = format!("-- dev::cluster::create_database\nCREATE DATABASE {database} OWNER {}", owner.role());
        superuser.batch_execute(&create).await.map_err(failed())?;
    }
    if owner == Login::LedgerOwner {
        // A session on `app` has no business in the ledger.
        let close = format!(
            "-- dev::cluster::close_ledger
             REVOKE ALL ON DATABASE {database} FROM PUBLIC;
             GRANT CONNECT ON DATABASE {database} TO gk_ledger_runtime"
        );
        superuser.batch_execute(&close).await.map_err(failed())?;
    }
    Ok(())
}
