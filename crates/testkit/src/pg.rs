//! A Postgres cluster of a test's own.

use crate::scratch::Slot;
use crate::template::{SUPERUSER, Template};
use crate::version::Version;
use gk_local_postgres::{Afterwards, Binaries, Cluster, Server, Source, StartOptions};
use std::path::{Path, PathBuf};
use tokio_postgres::{Client, Config, NoTls};

/// How a [`TestPg`] is started.
#[derive(Debug, Clone)]
pub struct TestPgOptions {
    version: Version,
    start: StartOptions,
}

impl TestPgOptions {
    /// Adds a server setting, such as `("max_prepared_transactions", "8")`.
    #[must_use]
    pub fn setting(self, name: &str, value: &str) -> Self {
        Self { start: self.start.with(name, value), ..self }
    }

    /// Commits reach the disk, as in production: for tests about crashes of the machine, and for measurements.
    #[must_use]
    pub fn durable(self) -> Self {
        self.setting("fsync", "on").setting("full_page_writes", "on")
    }

    /// Listens on this port, for whoever has to know it beforehand.
    #[must_use]
    pub fn on_port(self, port: u16) -> Self {
        Self { start: self.start.on_port(port), ..self }
    }

    /// Adds a variable to the server's environment, such as `("LD_PRELOAD", "…")`.
    #[must_use]
    pub fn env(self, name: &str, value: &str) -> Self {
        Self { start: self.start.env(name, value), ..self }
    }

    /// Makes the cluster and starts its server.
    pub async fn start(self) -> TestPg {
        TestPg::start_with(self).await
    }
}

/// A cluster that one test owns: stopped and removed when dropped.
#[derive(Debug)]
pub struct TestPg {
    // Before the slot: the server ends before its directory may be removed by others.
    state: State,
    binaries: Binaries,
    password: String,
    port: u16,
    start: StartOptions,
    slot: Slot,
}

#[derive(Debug)]
enum State {
    Running(Box<Server>),
    Stopped(Box<Cluster>),
    /// Only while one turns into the other, or after that failed.
    Between,
}

impl TestPg {
    /// A cluster with the settings tests usually want.
    pub async fn start(version: Version) -> Self {
        Self::with(version).start().await
    }

    /// A cluster with settings of your own.
    #[must_use]
    pub fn with(version: Version) -> TestPgOptions {
        let start = [("fsync", "off"), ("full_page_writes", "off"), ("shared_buffers", "16MB"), ("jit", "off")]
            .into_iter()
            .fold(StartOptions::default(), |start, (name, value)| start.with(name, value));
        TestPgOptions { version, start }
    }

    async fn start_with(options: TestPgOptions) -> Self {
        let binaries = options.version.binaries();
        let template = Template::of(&binaries).await;
        let slot = Slot::take().await;
        let cluster = Cluster::copy(binaries.clone(), &template.data_dir, &slot.data_dir());
        let cluster = cluster.unwrap_or_else(|error| panic!("copying the template cluster: {error}"));
        let server =
            cluster.start(&options.start).await.unwrap_or_else(|error| panic!("starting a test cluster: {error}"));
        let (port, start) = (server.port(), options.start.on_port(server.port()));
        Self { state: State::Running(Box::new(server)), binaries, password: template.password, port, start, slot }
    }

    /// The port on 127.0.0.1. It stays the same over restarts.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The server's major version.
    #[must_use]
    pub fn major(&self) -> u16 {
        self.binaries.version().major
    }

    /// The path of `psql`, of the server's own version.
    #[must_use]
    pub fn psql(&self) -> PathBuf {
        self.program("psql")
    }

    /// The path of another program of the server's installation, such as `pgbench` or `pg_dump`.
    #[must_use]
    pub fn program(&self, name: &str) -> PathBuf {
        self.binaries.program(name)
    }

    /// The data directory, to look for what must not be in it.
    #[must_use]
    pub fn data_dir(&self) -> PathBuf {
        self.slot.data_dir()
    }

    /// The name of the superuser.
    #[must_use]
    pub fn superuser_name(&self) -> &'static str {
        SUPERUSER
    }

    /// The superuser's password.
    #[must_use]
    pub fn superuser_password(&self) -> &str {
        &self.password
    }

    /// A connection string for the superuser.
    #[must_use]
    pub fn superuser_dsn(&self, database: &str) -> String {
        self.dsn(SUPERUSER, &self.password, database)
    }

    /// A connection string for anybody. Names and password are plain words: nothing is escaped.
    #[must_use]
    pub fn dsn(&self, user: &str, password: &str, database: &str) -> String {
        format!("postgresql://{user}:{password}@127.0.0.1:{}/{database}", self.port)
    }

    /// A client for the superuser.
    pub async fn superuser(&self, database: &str) -> Client {
        self.connect(SUPERUSER, &self.password, database)
            .await
            .unwrap_or_else(|error| panic!("the superuser's connection to {database}: {error:?}"))
    }

    /// A client for anybody. Its connection runs as a task of its own and ends with the client.
    pub async fn connect(&self, user: &str, password: &str, database: &str) -> Result<Client, tokio_postgres::Error> {
        let mut config = Config::new();
        config.host("127.0.0.1").port(self.port).user(user).password(password).dbname(database);
        let (client, connection) = config.connect(NoTls).await?;
        // How it ends is for the client to see: every later query fails.
        tokio::spawn(async move { drop(connection.await) });
        Ok(client)
    }

    /// Lets the server offer TLS with this certificate and key, as PEM.
    pub async fn offer_tls(&self, certificate: &str, key: &str) {
        use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
        self.write_file("server.crt", certificate);
        self.write_file("server.key", key);
        // The server reads its key as the one who owns the data directory, and only if nobody else can.
        let (place, owner) = (self.data_dir().join("server.key"), std::fs::metadata(self.data_dir()));
        let owner = owner.expect("the data directory is there");
        std::os::unix::fs::chown(&place, Some(owner.uid()), Some(owner.gid())).expect("the owner of the key changes");
        std::fs::set_permissions(&place, std::fs::Permissions::from_mode(0o600)).expect("the mode of the key changes");
        let admin = self.superuser("postgres").await;
        admin.batch_execute("ALTER SYSTEM SET ssl = on").await.expect("the setting is taken");
        admin.batch_execute("SELECT pg_reload_conf()").await.expect("the settings are read again");
        crate::eventually(std::time::Duration::from_secs(20), "the server offers TLS", async || {
            let shown = admin.query_one("SHOW ssl", &[]).await.map_err(|error| error.to_string())?;
            if shown.get::<_, &str>(0) == "on" { Ok(()) } else { Err("ssl is off".to_owned()) }
        })
        .await;
    }

    /// Makes a database. The name is a plain lower-case word.
    pub async fn create_database(&self, name: &str) {
        let made = self.superuser("postgres").await.batch_execute(&format!("CREATE DATABASE {name}")).await;
        made.unwrap_or_else(|error| panic!("creating database {name}: {error}"));
    }

    /// Everything the server has logged.
    #[must_use]
    pub fn log_text(&self) -> String {
        let path = match &self.state {
            State::Running(server) => server.log_path().to_path_buf(),
            State::Stopped(cluster) => cluster.log_path(),
            State::Between => return String::new(),
        };
        String::from_utf8_lossy(&std::fs::read(path).unwrap_or_default()).into_owned()
    }

    /// The server's process, while it runs.
    #[must_use]
    pub fn pid(&self) -> Option<rustix::process::Pid> {
        match &self.state {
            State::Running(server) => Some(server.pid()),
            State::Stopped(_) | State::Between => None,
        }
    }

    /// Kills the server as `kill -9` would. [`TestPg::start_again`] brings it back.
    pub fn kill9(&mut self) {
        match std::mem::replace(&mut self.state, State::Between) {
            State::Running(server) => {
                let cluster = server.kill().unwrap_or_else(|error| panic!("killing the server: {error}"));
                self.state = State::Stopped(Box::new(cluster));
            }
            other @ (State::Stopped(_) | State::Between) => self.state = other,
        }
    }

    /// Stops the server in order. [`TestPg::start_again`] brings it back.
    pub async fn stop(&mut self) {
        match std::mem::replace(&mut self.state, State::Between) {
            State::Running(server) => {
                let (cluster, _) = server.stop().await.unwrap_or_else(|error| panic!("stopping the server: {error}"));
                self.state = State::Stopped(Box::new(cluster));
            }
            other @ (State::Stopped(_) | State::Between) => self.state = other,
        }
    }

    /// Starts a stopped or killed server on the port it had.
    pub async fn start_again(&mut self) {
        match std::mem::replace(&mut self.state, State::Between) {
            State::Stopped(cluster) => {
                let server = cluster
                    .start(&self.start)
                    .await
                    .unwrap_or_else(|error| panic!("starting the server again: {error}"));
                self.state = State::Running(Box::new(server));
            }
            other @ (State::Running(_) | State::Between) => self.state = other,
        }
    }

    /// Stops the server in order and starts it again, which takes new contents of its configuration files.
    pub async fn restart(&mut self) {
        self.stop().await;
        self.start_again().await;
    }

    /// Copies the running server's data, as backups do.
    pub async fn backup(&self) -> Backup {
        let slot = Slot::take().await;
        self.copied(&slot.data_dir(), &Afterwards::Rest).await;
        Backup { slot }
    }

    /// Replaces what the server holds by what a backup holds, at once and in order: as after a restore, its clients are cut
    /// and it comes back on the same port.
    pub async fn restore(&mut self, backup: &Backup) {
        self.kill9();
        let State::Stopped(cluster) = std::mem::replace(&mut self.state, State::Between) else {
            panic!("the server has no data to replace");
        };
        // The lock ends with it.
        drop(cluster);
        let data_dir = self.data_dir();
        std::fs::remove_dir_all(&data_dir).unwrap_or_else(|error| panic!("clearing {}: {error}", data_dir.display()));
        let cluster = Cluster::copy(self.binaries.clone(), &backup.slot.data_dir(), &data_dir);
        let cluster = cluster.unwrap_or_else(|error| panic!("restoring a backup: {error}"));
        self.state = State::Stopped(Box::new(cluster));
        self.start_again().await;
    }

    /// Starts a hot standby of this server, on a port of its own and with the same settings. It follows by streaming.
    pub async fn standby(&self) -> Self {
        let slot = Slot::take().await;
        let name = format!("standby_{}", rand::random::<u32>());
        let cluster = self.copied(&slot.data_dir(), &Afterwards::Follow(name)).await;
        // A source that comes and goes is looked for at once.
        let start = self.start.clone().on_any_port().with("wal_retrieve_retry_interval", "100ms");
        let server = cluster.start(&start).await.unwrap_or_else(|error| panic!("starting a standby: {error}"));
        let (port, start) = (server.port(), start.on_port(server.port()));
        let (binaries, password) = (self.binaries.clone(), self.password.clone());
        Self { state: State::Running(Box::new(server)), binaries, password, port, start, slot }
    }

    async fn copied(&self, to: &Path, afterwards: &Afterwards) -> Cluster {
        let source = Source::new(self.port, SUPERUSER, self.password.clone().into());
        let made = Cluster::backup(self.binaries.clone(), &source, to, afterwards).await;
        made.unwrap_or_else(|error| panic!("copying a running server: {error}"))
    }

    /// Writes a file of the data directory, such as `pg_hba.conf`, in place: owner and mode stay.
    pub fn write_file(&self, name: impl AsRef<Path>, text: &str) {
        let path = self.data_dir().join(name);
        std::fs::write(&path, text).unwrap_or_else(|error| panic!("writing {}: {error}", path.display()));
    }
}

/// What a server held at one moment.
#[derive(Debug)]
pub struct Backup {
    slot: Slot,
}

impl Drop for Backup {
    fn drop(&mut self) {
        self.slot.remove();
    }
}

impl Drop for TestPg {
    fn drop(&mut self) {
        if std::thread::panicking() {
            report(&self.log_text());
        }
        self.state = State::Between;
        self.slot.remove();
    }
}

/// Shows how the server's log ends, beside the panic of the test that failed.
#[expect(clippy::print_stderr, reason = "a failed test's output is where its reader looks")]
fn report(log: &str) {
    let lines: Vec<&str> = log.lines().collect();
    eprintln!("the Postgres server's log ends with:\n{}", lines[lines.len().saturating_sub(20)..].join("\n"));
}
