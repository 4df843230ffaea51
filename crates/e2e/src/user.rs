//! Somebody at a database with a session's credential.

use std::str::FromStr;
use std::time::Duration;
use tokio_postgres::{Client, Config, NoTls};

/// A login that works.
#[derive(Debug)]
pub struct User {
    /// The connection.
    pub client: Client,
    /// The role's oid, which is all that is left of a backend's owner once the role is dropped.
    pub role_oid: u32,
}

impl User {
    /// Logs in.
    ///
    /// # Errors
    /// The server refuses it or does not answer.
    pub async fn login(dsn: &str) -> Result<Self, tokio_postgres::Error> {
        let mut config = Config::from_str(dsn)?;
        config.connect_timeout(Duration::from_secs(5));
        let (client, connection) = config.connect(NoTls).await?;
        // How it ends is for the client to see: every later query fails.
        tokio::spawn(async move { drop(connection.await) });
        let oid =
            client.query_one("-- user::login\nSELECT oid FROM pg_roles WHERE rolname = current_user", &[]).await?;
        Ok(Self { role_oid: oid.get(0), client })
    }

    /// Whether the server has ended the connection.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        self.client.is_closed()
    }

    /// Ok once the connection was ended, for polling.
    ///
    /// # Errors
    /// It is still there.
    pub fn cut(&self) -> Result<(), &'static str> {
        if self.is_cut() { Ok(()) } else { Err("still connected") }
    }
}

/// Whether the server refuses the login, for polling. A server that does not answer does not refuse.
///
/// # Errors
/// The login works, or the server does not answer.
pub async fn is_refused(dsn: &str) -> Result<(), String> {
    match User::login(dsn).await {
        Ok(_) => Err("the login works".to_owned()),
        Err(error) => match error.as_db_error() {
            Some(refusal) if refusal.code().code().starts_with("28") => Ok(()),
            Some(other) => Err(other.to_string()),
            None => Err(error.to_string()),
        },
    }
}
