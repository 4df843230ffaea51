//! The demo database as a target: the helpers and packs, installed as anybody would install them.
//!
//! By the owner of the database, who is no superuser, with the script that `gk-agent bootstrap --print` prints.

use super::cluster::{APP, connect};
use super::error::DevError;
use super::layout::DevDir;
use super::secrets::Login;
use gk_agent::bootstrap::{AgentVerifier, BootstrapOptions, script};

/// Installs or renews the helpers, and gives the agent's login its password.
pub(crate) async fn install(dir: &DevDir, port: u16) -> Result<(), DevError> {
    let owner = connect(dir, port, Login::AppOwner, APP).await?;
    let options =
        BootstrapOptions { agent_password_verifier: Some(agent_verifier(dir)?), ..BootstrapOptions::default() };
    owner.batch_execute(&script(&options)).await.map_err(DevError::sql("installing the helpers"))
}

fn agent_verifier(dir: &DevDir) -> Result<AgentVerifier, DevError> {
    let verifier = Login::verifier(&Login::Agent.password(dir)?);
    Ok(verifier.parse().expect("the driver makes verifiers that the bootstrap takes"))
}
