//! `gk-agent healthcheck`: asks the agent that runs with this configuration.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use gk_shared::exit::ExitCode;

use super::{Failed, Outcome};
use crate::config::AgentConfig;

const TIMEOUT: Duration = Duration::from_secs(3);

pub(super) async fn healthcheck(config: &AgentConfig, ready: bool) -> Outcome {
    let Some(listen) = config.listen else {
        return Err(Failed::new(ExitCode::Usage, "the agent does not listen: set `listen`"));
    };
    let address = reachable(listen);
    let url = format!("http://{address}/{}", if ready { "readyz" } else { "livez" });
    gk_edge::install_tls();
    let asked = async {
        let client = reqwest::Client::builder().timeout(TIMEOUT).no_proxy().build()?;
        client.get(&url).send().await
    };
    match asked.await {
        Ok(answer) if answer.status().is_success() => Ok(ExitCode::Ok),
        Ok(answer) => {
            let status = answer.status();
            let body = answer.text().await.unwrap_or_default();
            Err(Failed::new(ExitCode::Unavailable, format!("{url} answers {status}: {body}")))
        }
        Err(error) => Err(Failed::new(ExitCode::Unavailable, format!("{url} does not answer: {error}"))),
    }
}

/// An agent that listens on every address is asked on this machine's own.
fn reachable(listen: SocketAddr) -> SocketAddr {
    if listen.ip().is_unspecified() { SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), listen.port()) } else { listen }
}
