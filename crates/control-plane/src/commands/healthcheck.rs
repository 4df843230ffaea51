//! `healthcheck`: one question to the control plane on this machine, for containers and supervisors.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use gk_control_plane::config::PlaneConfig;
use gk_shared::problem::ErrorCode;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::say;
use crate::failure::Failure;

const PATIENCE: Duration = Duration::from_secs(5);
const QUESTION: &str = "GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

/// `healthcheck`
pub(crate) async fn healthcheck(config: &PlaneConfig) -> Result<(), Failure> {
    let (listen, tls) = (config.listen, config.tls.is_some());
    let address = SocketAddr::new(reachable(listen.ip()), listen.port());
    let unreachable = |why: String| Failure::new(ErrorCode::ControlPlaneUnreachable, format!("{address}: {why}"));
    let answer =
        tokio::time::timeout(PATIENCE, ask(address, tls)).await.map_err(|_| unreachable("no answer in 5 s".into()))?;
    let answer = answer.map_err(|error| unreachable(error.to_string()))?;
    let status = answer.split(' ').nth(1).unwrap_or("no status");
    if status == "200" {
        return say("ok");
    }
    Err(unreachable(format!("answers {status}, so it cannot serve; its log says why")))
}

/// An address to listen on everywhere is no address to ask.
fn reachable(listen: IpAddr) -> IpAddr {
    match listen {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    }
}

async fn ask(address: SocketAddr, tls: bool) -> std::io::Result<String> {
    let stream = TcpStream::connect(address).await?;
    if tls { question(gk_edge::unchecked::on_this_machine(stream).await?).await } else { question(stream).await }
}

async fn question(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> std::io::Result<String> {
    stream.write_all(QUESTION.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(64 * 1024).read_to_end(&mut answer).await?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}
