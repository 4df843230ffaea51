//! A superuser's connection that is made again when it breaks.

use std::str::FromStr;
use std::time::Duration;
use tokio_postgres::{Client, Config, NoTls, Row};

/// Longer than a busy server takes, shorter than a look at the next one can wait.
const PATIENCE: Duration = Duration::from_secs(2);

/// Looks at one database, as long as it answers.
pub struct Eye {
    dsn: String,
    client: Option<Client>,
}

impl std::fmt::Debug for Eye {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Eye").field("connected", &self.client.is_some()).finish_non_exhaustive()
    }
}

impl Eye {
    /// Will look with this connection string.
    #[must_use]
    pub const fn new(dsn: String) -> Self {
        Self { dsn, client: None }
    }

    /// The rows of a query without parameters; none if the server does not answer.
    pub async fn ask(&mut self, sql: &str) -> Option<Vec<Row>> {
        let asked = tokio::time::timeout(PATIENCE, self.asked(sql)).await;
        let rows = asked.ok().and_then(Result::ok);
        if rows.is_none() {
            self.client = None;
        }
        rows
    }

    /// Statements; whether they were carried out.
    pub async fn run(&mut self, sql: &str) -> bool {
        let work = async {
            let client = self.client().await?;
            client.batch_execute(sql).await
        };
        let done = tokio::time::timeout(PATIENCE, work).await;
        let done = done.is_ok_and(|done| done.is_ok());
        if !done {
            self.client = None;
        }
        done
    }

    async fn asked(&mut self, sql: &str) -> Result<Vec<Row>, tokio_postgres::Error> {
        self.client().await?.query_typed(sql, &[]).await
    }

    async fn client(&mut self) -> Result<&Client, tokio_postgres::Error> {
        if self.client.as_ref().is_none_or(Client::is_closed) {
            let (client, connection) = Config::from_str(&self.dsn)?.connect(NoTls).await?;
            // How it ends is for the client to see: every later query fails.
            tokio::spawn(async move { drop(connection.await) });
            self.client = Some(client);
        }
        Ok(self.client.as_ref().expect("it was made above"))
    }
}
