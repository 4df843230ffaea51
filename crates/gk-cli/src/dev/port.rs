//! The address that the control plane listens on: read, opened, and, where it is taken, its owner named.

use super::error::DevError;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use tokio::net::TcpListener;

/// Where the control plane listens unless told otherwise.
const DEFAULT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 4000);
/// Where the search for a free port to suggest begins: 4001 is where agents answer about their health.
const FIRST_SUGGESTION: u16 = 4010;

/// Reads `--listen`: `127.0.0.1:4000`, `[::1]:4000`, `localhost:4000`, `:4000` or `4000`.
///
/// Only addresses of this machine are taken: the demo's tokens would travel in the clear.
pub(crate) fn parse(given: &str) -> Result<SocketAddr, DevError> {
    let bad = |fault| DevError::BadAddress { given: given.to_owned(), fault };
    let port_alone = given.strip_prefix(':').unwrap_or(given);
    if let Ok(port) = port_alone.parse::<u16>() {
        return Ok(SocketAddr::new(DEFAULT.ip(), port));
    }
    let numeric = given.strip_prefix("localhost:").map(|port| format!("127.0.0.1:{port}"));
    let address: SocketAddr = numeric
        .as_deref()
        .unwrap_or(given)
        .parse()
        .map_err(|_| bad("write an address and a port, such as 127.0.0.1:4000"))?;
    if address.ip().is_loopback() {
        return Ok(address);
    }
    Err(bad("it speaks plain HTTP and is for this machine alone, so only loopback addresses are taken"))
}

/// Opens the address that was asked for, else the one of the last start, else the default.
pub(crate) async fn listen(asked: Option<SocketAddr>, last: Option<SocketAddr>) -> Result<TcpListener, DevError> {
    match (asked, last) {
        // Any free port will do; the one of the last start keeps what others noted down true.
        (Some(any), Some(last)) if any.port() == 0 && any.ip() == last.ip() => match TcpListener::bind(last).await {
            Ok(listener) => Ok(listener),
            Err(_) => bind(any).await,
        },
        (Some(asked), _) => bind(asked).await,
        (None, last) => bind(last.unwrap_or(DEFAULT)).await,
    }
}

async fn bind(address: SocketAddr) -> Result<TcpListener, DevError> {
    match TcpListener::bind(address).await {
        Ok(listener) => Ok(listener),
        Err(error) if error.kind() == ErrorKind::AddrInUse => Err(DevError::AddressInUse {
            address,
            holder: holder(address.port()).unwrap_or_else(|| "another program".to_owned()),
            free: suggestion(address.ip()).await,
        }),
        Err(source) => Err(DevError::Listen { address, source }),
    }
}

/// A port that is free at this moment; 0 asks for any.
async fn suggestion(ip: IpAddr) -> SocketAddr {
    for port in FIRST_SUGGESTION..FIRST_SUGGESTION + 100 {
        let address = SocketAddr::new(ip, port);
        if TcpListener::bind(address).await.is_ok() {
            return address;
        }
    }
    SocketAddr::new(ip, 0)
}

/// The program that listens on `port`, as `nginx (process 4711)`; `None` where it belongs to somebody else and cannot
/// be seen.
#[cfg(target_os = "linux")]
fn holder(port: u16) -> Option<String> {
    let inodes: Vec<String> = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|table| std::fs::read_to_string(table).ok())
        .flat_map(|table| listening_inodes(&table, port))
        .map(|inode| format!("socket:[{inode}]"))
        .collect();
    let processes = std::fs::read_dir("/proc").ok()?.flatten();
    processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok()).find_map(|pid| {
        let mut files = std::fs::read_dir(format!("/proc/{pid}/fd")).ok()?.flatten();
        let has = files.any(|file| {
            std::fs::read_link(file.path())
                .is_ok_and(|target| inodes.iter().any(|inode| target.as_os_str() == inode.as_str()))
        });
        let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
        has.then(|| format!("{} (process {pid})", name.trim()))
    })
}

#[cfg(not(target_os = "linux"))]
fn holder(port: u16) -> Option<String> {
    let query = format!("-iTCP:{port}");
    let output = std::process::Command::new("lsof").args(["-nP", &query, "-sTCP:LISTEN", "-Fpc"]).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let field = |mark: char| text.lines().find_map(|line| line.strip_prefix(mark));
    Some(format!("{} (process {})", field('c')?, field('p')?))
}

/// The inodes of the sockets that listen on `port`, out of a table of `/proc/net`.
#[cfg(target_os = "linux")]
fn listening_inodes(table: &str, port: u16) -> Vec<String> {
    let suffix = format!(":{port:04X}");
    let of_line = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        // 0A is the state LISTEN.
        let listens = fields.get(1)?.ends_with(&suffix) && *fields.get(3)? == "0A";
        listens.then(|| fields.get(9).map(|&inode| inode.to_owned())).flatten()
    };
    table.lines().filter_map(of_line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_may_be_written_in_the_usual_ways() {
        for (given, read) in [
            ("127.0.0.1:4100", "127.0.0.1:4100"),
            ("localhost:4100", "127.0.0.1:4100"),
            (":4100", "127.0.0.1:4100"),
            ("4100", "127.0.0.1:4100"),
            ("127.0.0.1:0", "127.0.0.1:0"),
            ("[::1]:4100", "[::1]:4100"),
        ] {
            assert_eq!(parse(given).unwrap().to_string(), read, "{given}");
        }
    }

    #[test]
    fn an_address_that_others_can_reach_is_refused() {
        for given in ["0.0.0.0:4000", "10.0.0.1:4000", "[::]:4000", "example.com:4000", "127.0.0.1", "65536", "-1", ""]
        {
            let refused = parse(given).unwrap_err();
            assert_eq!(refused.code().exit().number(), 2, "{given}: {refused}");
        }
    }

    #[tokio::test]
    async fn a_taken_port_is_refused_with_its_owner_and_a_free_one() {
        let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = taken.local_addr().unwrap();
        let refused = listen(Some(address), None).await.unwrap_err();
        let said = refused.to_string();
        assert!(said.contains(&format!("(process {})", std::process::id())), "{said}");
        assert!(refused.next().starts_with("gk dev --listen 127.0.0.1:4"), "{}", refused.next());
    }

    #[tokio::test]
    async fn the_address_of_the_last_start_is_taken_again() {
        let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let any = SocketAddr::new(free.ip(), 0);
        assert_eq!(listen(None, Some(free)).await.unwrap().local_addr().unwrap(), free);
        let first = listen(Some(any), Some(free)).await.unwrap();
        assert_eq!(first.local_addr().unwrap(), free);
        assert_ne!(listen(Some(any), Some(free)).await.unwrap().local_addr().unwrap(), free);
    }
}
