//! One cluster for each version that tests copy: `initdb` takes a second, a copy a tenth of it.

use crate::scratch::{locked, root};
use gk_local_postgres::{Binaries, Cluster, InitOptions};
use rand::RngExt;
use std::fs;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// The superuser of every test cluster.
pub(crate) const SUPERUSER: &str = "postgres";

/// A stopped cluster to copy, with its superuser's password.
#[derive(Debug)]
pub(crate) struct Template {
    pub(crate) data_dir: PathBuf,
    pub(crate) password: String,
}

impl Template {
    /// The template for these binaries, made by whoever comes first.
    pub(crate) async fn of(binaries: &Binaries) -> Self {
        let dir = root().join("templates").join(binaries.version().to_string());
        fs::create_dir_all(&dir).unwrap_or_else(|error| panic!("creating {}: {error}", dir.display()));
        let data_dir = dir.join("data");
        // Others wait here until the first has made it. It is never started, so reading it needs no lock.
        let making = locked(&dir.join("making"));
        let password = password_in(&dir.join("password"));
        if !Cluster::exists(&data_dir) {
            let options = InitOptions::new(SUPERUSER, password.clone().into()).without_sync();
            Cluster::init(binaries.clone(), &data_dir, &options)
                .await
                .unwrap_or_else(|error| panic!("making the template cluster: {error}"));
        }
        drop(making);
        Self { data_dir, password }
    }
}

/// The password in this file, which is made up where there is none yet: every user of the machine can reach the port.
fn password_in(path: &Path) -> String {
    if let Ok(password) = fs::read_to_string(path) {
        return password;
    }
    let password: String = rand::rng().sample_iter(rand::distr::Alphanumeric).take(32).map(char::from).collect();
    let file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path);
    file.and_then(|mut file| std::io::Write::write_all(&mut file, password.as_bytes()))
        .unwrap_or_else(|error| panic!("writing {}: {error}", path.display()));
    password
}
