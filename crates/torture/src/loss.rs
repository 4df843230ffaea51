//! Lost packets: rules of the kernel's packet filter for the ports of this run alone.
//!
//! Always holds: the rules are in a table of this process's own, and gone when their owner is.

use std::io::Write as _;
use std::process::{Command, Stdio};

/// Rules that drop some of the packets from and to these ports.
#[derive(Debug)]
pub struct Loss {
    table: String,
}

impl Loss {
    /// So many of a hundred packets are lost, each way.
    ///
    /// # Panics
    /// The rules are refused: the caller has looked at [`crate::need::Need::Nft`].
    #[must_use]
    pub fn of(percent: u32, ports: &[u16]) -> Self {
        let table = format!("gk_torture_{}_{:08x}", std::process::id(), rand::random::<u32>());
        let ports = ports.iter().map(u16::to_string).collect::<Vec<_>>().join(", ");
        let rules = format!(
            "table inet {table} {{\n chain lost {{\n type filter hook output priority 0; policy accept;\n\
             tcp dport {{ {ports} }} numgen random mod 100 < {percent} counter drop\n\
             tcp sport {{ {ports} }} numgen random mod 100 < {percent} counter drop\n }}\n}}\n"
        );
        let loss = Self { table };
        nft(&["-f", "-"], &rules).unwrap_or_else(|said| panic!("nft refuses {rules}: {said}"));
        loss
    }

    /// Packets that were lost.
    #[must_use]
    pub fn lost(&self) -> u64 {
        let rules = nft(&["list", "table", "inet", &self.table], "").unwrap_or_default();
        let counts =
            rules.split("counter packets ").skip(1).filter_map(|rest| rest.split(' ').next()?.parse::<u64>().ok());
        counts.sum()
    }
}

impl Drop for Loss {
    fn drop(&mut self) {
        drop(nft(&["delete", "table", "inet", &self.table], ""));
    }
}

fn nft(args: &[&str], input: &str) -> Result<String, String> {
    let command =
        Command::new("nft").args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = command.map_err(|error| error.to_string())?;
    let mut stdin = child.stdin.take().expect("it was piped");
    stdin.write_all(input.as_bytes()).map_err(|error| error.to_string())?;
    drop(stdin);
    let output = child.wait_with_output().map_err(|error| error.to_string())?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}
